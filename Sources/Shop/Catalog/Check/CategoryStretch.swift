import MongoDB
import RPC

/// Some categories that follow one another, with the counts that are stored and those of their products, as of one moment.
struct CategoryStretch {
    /// By category, as `categories` has them.
    private(set) var stored: [String: Int64] = [:]
    /// By category, as `products` has them; of no category without products.
    private(set) var counted: [String: Int64] = [:]
    /// The last category that belongs to it; nil: there are none after it.
    let end: String?

    /// Reads the next categories after `start`, or the first ones, in the session's transaction.
    init(
        after start: String?, in database: String, _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) {
        let options = FindOptions(
            sort: Document { $0.append("_id", 1) }, limit: Limits.categoriesAtOnce, hint: "_id_", timeLimit: deadline.remaining)
        let rows = try session.collection(CollectionName.categories, in: database)
            .findBatch(Document { $0.range("_id", after: start, upTo: nil) }, options)
        var (products, end) = (Int64(0), String?.none)
        for index in 0..<rows.count {
            let (key, count) = (try rows[index].string("_id"), rows[index].find("count")?.int64 ?? 0)
            stored[key] = count
            products += max(0, min(count, Limits.countedAtOnce))
            if products >= Limits.countedAtOnce || index + 1 == Limits.categoriesAtOnce {
                end = key
                break
            }
        }
        self.end = end
        let group = Document { stage in
            stage.document("$group") { group in
                group.append("_id", "$category_key")
                group.document("count") { $0.append("$sum", 1) }
            }
        }
        let match = Document { stage in stage.document("$match") { $0.range("category_key", after: start, upTo: end) } }
        // Without a hint, as the index that serves it may be what is missing.
        var cursor = try session.collection(CollectionName.products, in: database)
            .aggregate([match, group], timeLimit: deadline.remaining)
        while let row = try cursor.next() { counted[try row.string("_id")] = try row.int64("count") }
    }
}

extension DocumentBuilder {
    /// Matches strings after `start`, or all from the first on, and up to `end`, if there is one.
    fileprivate mutating func range(_ field: FieldName, after start: String?, upTo end: String?) {
        document(field) { range in
            if let start { range.append("$gt", start) } else { range.append("$gte", "") }
            if let end { range.append("$lte", end) }
        }
    }
}
