import MongoDB
import RPC

/// Mends what a check has found. Each piece is a transaction that looks again, so that it is right beside any number of writers,
/// and harmless where somebody else has mended it.
struct CatalogRepair: Sendable {
    let database: String
    let categories: CategoryStore

    /// Makes the keys of products follow from their fields, and moves them to the right category's count.
    func mendKeys(of ids: [String], _ client: borrowing Client, before deadline: Deadline) throws(MongoError) {
        let session = try client.startSession()
        try Transactions.run(on: session, before: deadline) { session throws(MongoError) in
            let (wrong, moves) = try look(at: ids, session, before: deadline)
            try categories.change(by: moves, session, before: deadline)
            var bulk = try session.collection(CollectionName.products, in: database).bulkWrite(ordered: false)
            for record in wrong {
                let keys = Update { update in
                    update.document("$set") { set in
                        for key in record.keys { key.write(to: &set) }
                    }
                }
                try bulk.updateOne(Document { $0.append("_id", record.id) }, keys, hint: "_id_")
            }
            try bulk.execute(timeLimit: deadline.remaining).checked()
        }
    }

    /// The products that are still there and still wrong, and what mending them does to the counts.
    private func look(
        at ids: [String], _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> (wrong: [ProductRecord], moves: [String: Int64]) {
        let filter = Document { filter in filter.document("_id") { $0.append("$in", ids) } }
        var cursor = try session.collection(CollectionName.products, in: database)
            .find(filter, FindOptions(limit: ids.count, hint: "_id_", timeLimit: deadline.remaining))
        var (wrong, moves): ([ProductRecord], [String: Int64]) = ([], [:])
        while let row = try cursor.next() {
            let record = try ProductRecord(row)
            if record.wrongKeys(in: row).isEmpty { continue }
            wrong.append(record)
            // A product without a category's key is in no count.
            if let key = row.find("category_key")?.string { moves[key, default: 0] -= 1 }
            moves[record.categoryKey, default: 0] += 1
        }
        return (wrong, moves)
    }

    /// Counts the products of a category and stores that, or removes the category where there are none.
    ///
    /// Whoever adds, moves or removes products has to wait meanwhile: some 0.3 s where there are a million in the category.
    func recount(_ key: String, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) {
        let session = try client.startSession()
        try Transactions.run(on: session, before: deadline) { session throws(MongoError) in
            // First of all, so that nobody can change what is counted until this commits.
            try categories.lock(session, before: deadline)
            let count = try session.collection(CollectionName.products, in: database)
                .count(Document { $0.append("category_key", key) }, hint: "by_category_and_name", timeLimit: deadline.remaining)
            try categories.set(key, to: count, session, before: deadline)
        }
    }

    func create(_ index: Index, in collection: String, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) {
        try client.collection(collection, in: database).createIndexes([index], timeLimit: deadline.remaining)
    }
}
