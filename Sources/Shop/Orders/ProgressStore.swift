import MongoDB
import RPC

/// How far the documents of orders follow the settlements: the last settlement whose orders have left the queue. Nobody is told of what
/// comes after it, so that an order which somebody was told about is never seen as it was before.
///
/// It has a document of its own, as that of the lease is locked by the next settlement already when this one moves.
struct ProgressStore: Sendable {
    let database: String

    private static let filter = Document { $0.append("_id", "orders") }

    /// Makes the document where there is none, as where all that was settled is followed.
    func create(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) {
        let settled = try LeaseStore(database: database).sequence(client, before: deadline)
        let update = Update { update in update.document("$setOnInsert") { $0.append("sequence", settled) } }
        try client.collection(CollectionName.progress, in: database)
            .updateOne(Self.filter, update, upsert: true, timeLimit: deadline.remaining)
    }

    /// The mark as a majority has it.
    ///
    /// - Parameter time: waits until a majority has what was written then.
    func sequence(
        notBefore time: ClusterTime? = nil, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Int64 {
        let options = FindOptions(
            projection: Document { $0.append("sequence", 1) }, readConcern: .majority, notBefore: time, timeLimit: deadline.remaining)
        return try client.collection(CollectionName.progress, in: database)
            .findOne(Self.filter, options) { row throws(MongoError) in try row.int64("sequence") } ?? 0
    }

    /// Moves the mark to `sequence`, in the session's transaction.
    func advance(to sequence: Int64, _ session: borrowing Session, before deadline: Deadline) throws(MongoError) {
        let update = Update { update in update.document("$set") { $0.append("sequence", sequence) } }
        try session.collection(CollectionName.progress, in: database)
            .updateOne(Self.filter, update, upsert: true, timeLimit: deadline.remaining)
    }
}
