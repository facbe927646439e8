import MongoDB
import RPC

/// The collection `categories`: how many products each category has, and its stamp; and `catalog`: the stamp of the whole. Counts are exact and
/// stamps trustworthy, as they change in the transactions that change products.
struct CategoryStore: Sendable {
    let database: String

    // MARK: Reading

    /// The stamp, as a majority has it now, and when that was, if nothing was being written.
    func stamp(
        _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> (stamp: CatalogStamp, quietTime: ClusterTime?) {
        let options = FindOptions(
            projection: Self.stampOnly, limit: 1, hint: "_id_", readConcern: .majority, timeLimit: deadline.remaining)
        let batch = try client.collection(CollectionName.catalog, in: database).findBatch(Self.whole, options)
        let stamp = batch.count == 0 ? CatalogStamp.none : CatalogStamp(value: try batch[0].int64("stamp"))
        return (stamp, batch.quietTime)
    }

    /// The stamp, as the session's transaction sees it.
    func stamp(_ session: borrowing Session, before deadline: Deadline) throws(MongoError) -> CatalogStamp {
        let options = FindOptions(projection: Self.stampOnly, hint: "_id_", timeLimit: deadline.remaining)
        let stamp = try session.collection(CollectionName.catalog, in: database)
            .findOne(Self.whole, options) { row throws(MongoError) in CatalogStamp(value: try row.int64("stamp")) }
        return stamp ?? .none
    }

    /// The stamp and all categories, as they were at one moment, which is not before this begins.
    func snapshot(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> CatalogSnapshot {
        let categories = Document { stage in
            stage.document("$unionWith") { union in
                union.append("coll", CollectionName.categories)
                union.append("pipeline", [Document { $0.document("$sort") { $0.append("_id", 1) } }])
            }
        }
        // What was answered to a caller has reached a majority, so this snapshot shows it.
        var cursor = try client.collection(CollectionName.catalog, in: database).aggregate(
            [Document { $0.append("$match", Self.whole) }, categories], readConcern: .snapshot, timeLimit: deadline.remaining)
        var stamp = CatalogStamp.none
        var told: [CatalogChange] = []
        var found: [(key: String, count: Int64, stamp: CatalogStamp)] = []
        while let row = try cursor.next() {
            let own = CatalogStamp(value: row.find("stamp")?.int64 ?? CatalogStamp.none.value)
            if row.contains("count") {
                found.append((try row.string("_id"), try row.int64("count"), own))
            } else {
                (stamp, told) = (own, try CatalogChange.all(in: row))
            }
        }
        return CatalogSnapshot(stamp: stamp, categories: found, told: told)
    }

    // MARK: Changing

    /// Takes note of a change of the catalogue in the session's transaction: a new stamp, new stamps of the categories of all products that
    /// change, and counts changed by `changes`, which holds these categories, also with 0. Categories that have no products left are
    /// removed. To be called once, first, in every transaction that adds or removes
    /// products or changes anything of them but stock.
    ///
    /// The stamp goes first: two transactions that change the catalogue at once collide there, before either has written
    /// much. Then the counts in the order of their keys.
    ///
    /// - Parameter moves: what changes in the lists, all of it, for servers to keep what they know of these; nil: they are to forget.
    func change(
        by changes: [String: Int64], moves: [ProductMove]? = nil, _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) {
        try session.collection(CollectionName.catalog, in: database)
            .updateOne(Self.whole, Self.newStamp(telling: moves), upsert: true, timeLimit: deadline.remaining)
        guard !changes.isEmpty else { return }
        let collection = session.collection(CollectionName.categories, in: database)
        var bulk = try collection.bulkWrite(ordered: true)
        for (key, change) in changes.sorted(by: { $0.key < $1.key }) {
            let update = Update { update in
                update.document("$inc") { $0.append("count", change) }
                update.document("$set") { $0.append("stamp", CatalogStamp.random().value) }
            }
            try bulk.updateOne(Document { $0.append("_id", key) }, update, upsert: true)
        }
        try bulk.execute(timeLimit: deadline.remaining).checked()
        let shrunk = changes.filter { $0.value <= 0 }.map(\.key)
        guard !shrunk.isEmpty else { return }
        try collection.deleteMany(
            Document { filter in
                filter.document("_id") { $0.append("$in", shrunk) }
                filter.document("count") { $0.append("$lte", 0) }
            }, timeLimit: deadline.remaining)
    }

    private static func newStamp(telling moves: [ProductMove]?) -> Update {
        let stamp = CatalogStamp.random()
        if let moves, CatalogChange.canTell(moves) { return CatalogChange.told(moves, stamp: stamp) }
        return Update { update in
            update.document("$set") { set in
                set.append("stamp", stamp.value)
                set.array("changes") { _ in }
            }
        }
    }

    private static let stampOnly = Document { $0.append("_id", 0); $0.append("stamp", 1) }

    /// The one document of `catalog`.
    private static let whole = Document { $0.append("_id", "whole") }
}
