import MongoDB
import RPC

/// The collection `categories`: how many products each category has. The counts are exact, as they change in the
/// transactions that change products.
struct CategoryStore: Sendable {
    let database: String

    /// Which categories a filter matches, and how many products they have together.
    struct Match: Sendable, Equatable {
        var keys: [String]
        var productCount: Int64
    }

    /// All products.
    func productCount(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Int64 {
        let sum = Document { stage in
            stage.document("$group") { group in
                group.appendNull("_id")
                group.document("count") { $0.append("$sum", "$count") }
            }
        }
        let collection = client.collection(CollectionName.categories, in: database)
        var cursor = try collection.aggregate([sum], timeLimit: deadline.remaining)
        guard let row = try cursor.next() else { return 0 }
        return try row.int64("count")
    }

    /// The categories whose folded name contains the folded `text`, by key.
    ///
    /// Returns one key more than a filter may match where there are too many. The text is a literal operand of an
    /// expression: never a pattern, and never the name of a field.
    func matching(_ text: String, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Match {
        let filter = Document { filter in
            filter.document("$expr") { expression in
                expression.array("$gte") { comparison in
                    comparison.document { index in
                        index.array("$indexOfBytes") { arguments in
                            arguments.append("$_id")
                            arguments.document { $0.append("$literal", ProductKeys.categoryKey(text)) }
                        }
                    }
                    comparison.append(0)
                }
            }
        }
        let options = FindOptions(
            sort: Document { $0.append("_id", 1) }, limit: Limits.maxMatchingCategories + 1, timeLimit: deadline.remaining)
        let collection = client.collection(CollectionName.categories, in: database)
        var cursor = try collection.find(filter, options)
        var match = Match(keys: [], productCount: 0)
        while let row = try cursor.next() {
            match.keys.append(try row.string("_id"))
            match.productCount += try row.int64("count")
        }
        return match
    }

    /// Changes the counts by `changes`, in the session's transaction. Categories that have no products left are removed.
    ///
    /// In the order of the keys, so that two transactions never wait for each other crosswise.
    func change(by changes: [String: Int64], _ session: borrowing Session, before deadline: Deadline) throws(MongoError) {
        let changed = changes.filter { $0.value != 0 }.sorted { $0.key < $1.key }
        guard !changed.isEmpty else { return }
        let collection = session.collection(CollectionName.categories, in: database)
        var bulk = try collection.bulkWrite(ordered: true)
        for (key, change) in changed {
            try bulk.updateOne(
                Document { $0.append("_id", key) },
                Update { update in update.document("$inc") { $0.append("count", change) } }, upsert: true)
        }
        try bulk.execute(timeLimit: deadline.remaining).checked()
        let shrunk = changed.filter { $0.value < 0 }.map(\.key)
        guard !shrunk.isEmpty else { return }
        try collection.deleteMany(
            Document { filter in
                filter.document("_id") { $0.append("$in", shrunk) }
                filter.document("count") { $0.append("$lte", 0) }
            }, timeLimit: deadline.remaining)
    }
}
