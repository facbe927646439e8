import MongoDB
import RPC

/// One batch of an import: products and the counts of their categories, in one transaction.
struct ProductImport: Sendable {
    let database: String
    let categories: CategoryStore

    /// What became of a batch.
    struct Outcome: Sendable, Equatable {
        var inserted = 0
        var replaced = 0
    }

    /// Stores `records`, of which a later one replaces an earlier one with the same id.
    func store(_ records: [ProductRecord], _ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Outcome {
        guard !records.isEmpty else { return Outcome() }
        var last: [String: ProductRecord] = [:]
        for record in records { last[record.id] = record }
        let repeated = records.count - last.count
        let distinct = last.values.sorted { $0.id < $1.id }

        let session = try client.startSession()
        var outcome = try Transactions.run(on: session, before: deadline) { session throws(MongoError) in
            try store(distinct, session, before: deadline)
        }
        outcome.replaced += repeated
        return outcome
    }

    private func store(
        _ records: [ProductRecord], _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> Outcome {
        let existing = try categoryKeys(of: records.map(\.id), session, before: deadline)
        var changes: [String: Int64] = [:]
        for record in records {
            changes[record.categoryKey, default: 0] += 1
            if let before = existing[record.id] { changes[before, default: 0] -= 1 }
        }
        // Counts first: another server's import that touches one of these categories stops here, before it has written much.
        try categories.change(by: changes, session, before: deadline)

        let collection = session.collection(CollectionName.products, in: database)
        var bulk = try collection.bulkWrite(ordered: false)
        for record in records {
            if existing[record.id] == nil {
                try bulk.insert(record.document)
            } else {
                try bulk.replaceOne(Document { $0.append("_id", record.id) }, record.document)
            }
        }
        try bulk.execute(timeLimit: deadline.remaining).checked()
        return Outcome(inserted: records.count - existing.count, replaced: existing.count)
    }

    private func categoryKeys(
        of ids: [String], _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> [String: String] {
        let filter = Document { filter in filter.document("_id") { $0.append("$in", ids) } }
        let collection = session.collection(CollectionName.products, in: database)
        var cursor = try collection.find(
            filter,
            FindOptions(projection: Document { $0.append("category_key", 1) }, limit: ids.count, timeLimit: deadline.remaining))
        var keys: [String: String] = [:]
        while let row = try cursor.next() { keys[try row.string("_id")] = try row.string("category_key") }
        return keys
    }
}
