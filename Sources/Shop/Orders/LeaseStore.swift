import MongoDB
import RPC

/// The settler's lease document: who settles, in which epoch, until when, and the number of the last completion.
///
/// All times are the database's (`$$NOW`): no server's clock decides.
struct LeaseStore: Sendable {
    let database: String

    private static let id = "settler"

    /// Makes the document, where there is none: expired, and nothing settled.
    func create(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) {
        let update = Update { update in
            update.document("$setOnInsert") {
                $0.append("epoch", 0)
                $0.append("sequence", 0)
                $0.append("expires", BSONDate(millisecondsSince1970: 0))
            }
        }
        try client.collection(CollectionName.leases, in: database)
            .updateOne(Document { $0.append("_id", Self.id) }, update, upsert: true, timeLimit: deadline.remaining)
    }

    /// Looks, without waiting for whoever has the document locked.
    func observe(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> LeaseObservation? {
        let projection = Document { projection in
            for field in ["epoch", "holder", "expires", "lasts", "sessions"] as [FieldName] { projection.append(field, 1) }
            projection.document("isExpired") { Self.appendExpired(to: &$0) }
        }
        let options = FindOptions(projection: projection, timeLimit: deadline.remaining)
        return try client.collection(CollectionName.leases, in: database)
            .findOne(Document { $0.append("_id", Self.id) }, options) { row throws(MongoError) in
                var sessions: [SessionID] = []
                try row.find("sessions")?.array?.forEachDocument { row throws(MongoError) in
                    if let session = SessionID(try row.binary("id")) { sessions.append(session) }
                }
                return LeaseObservation(
                    epoch: try row.int64("epoch"), holder: row.find("holder")?.string ?? "", expires: try row.date("expires"),
                    lasts: row.find("lasts")?.int64.map { .milliseconds($0) } ?? Limits.leaseDuration,
                    isExpired: try row.bool("isExpired"), sessions: sessions)
            }
    }

    /// Takes the lease that was seen like this: the epoch moves on, which fences its last holder. Nil where somebody was quicker,
    /// or its holder has renewed it.
    func take(
        from observed: LeaseObservation, holder: String, sessions: [SessionID], lasting duration: Duration, _ client: borrowing Client,
        before deadline: Deadline
    ) throws(MongoError) -> Int64? {
        let filter = Document { filter in
            filter.append("_id", Self.id)
            filter.append("epoch", observed.epoch)
            filter.append("expires", observed.expires)
        }
        let epoch = observed.epoch + 1
        let update = Update(pipeline: [
            Document { stage in
                stage.document("$set") { set in
                    set.append("epoch", epoch)
                    set.append("holder", holder)
                    Self.append(sessions, to: &set)
                    Self.append(duration, to: &set)
                }
            }
        ])
        let taken = try client.collection(CollectionName.leases, in: database)
            .findOneAndUpdate(filter, update, timeLimit: deadline.remaining)
        return taken == nil ? nil : epoch
    }

    /// Extends the lease and notes the sessions that transactions run in from now on. False where it is lost.
    func renew(
        epoch: Int64, sessions: [SessionID], lasting duration: Duration, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Bool {
        let update = Update(pipeline: [
            Document { stage in
                stage.document("$set") { set in
                    Self.append(sessions, to: &set)
                    Self.append(duration, to: &set)
                }
            }
        ])
        return try client.collection(CollectionName.leases, in: database)
            .updateOne(Self.held(epoch), update, timeLimit: deadline.remaining).matchedCount == 1
    }

    /// Gives the lease back, so that another server need not wait for its end.
    func release(epoch: Int64, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) {
        let update = Update { update in
            update.document("$set") { $0.append("expires", BSONDate(millisecondsSince1970: 0)) }
        }
        try client.collection(CollectionName.leases, in: database)
            .updateOne(Self.held(epoch), update, timeLimit: deadline.remaining)
    }

    /// In the session's transaction: checks that the lease is still held in `epoch`, extends it, and takes the next `count`
    /// sequence numbers. The first statement of each settlement: it fences a stale settler, and makes all settlements follow
    /// one another, so that numbers are committed in their order and without gaps.
    ///
    /// - Returns: the last of the numbers; nil where the lease is lost.
    func takeSequence(
        _ count: Int, epoch: Int64, lasting duration: Duration, _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> Int64? {
        let update = Update(pipeline: [
            Document { stage in
                stage.document("$set") { set in
                    set.document("sequence") { sum in
                        sum.array("$add") {
                            $0.append("$sequence")
                            $0.append(count)
                        }
                    }
                    Self.append(duration, to: &set)
                }
            }
        ])
        let lease = try session.collection(CollectionName.leases, in: database)
            .findOneAndUpdate(Self.held(epoch), update, timeLimit: deadline.remaining)
        return try lease?.view.int64("sequence")
    }

    /// The number of the last completion, as a majority has it.
    func sequence(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Int64 {
        let options = FindOptions(
            projection: Document { $0.append("sequence", 1) }, readConcern: .majority, timeLimit: deadline.remaining)
        return try client.collection(CollectionName.leases, in: database)
            .findOne(Document { $0.append("_id", Self.id) }, options) { row throws(MongoError) in try row.int64("sequence") } ?? 0
    }

    private static func held(_ epoch: Int64) -> Document {
        Document { filter in
            filter.append("_id", id)
            if !Flaw.settlesUnfenced.isPresent { filter.append("epoch", epoch) }
        }
    }

    private static func appendExpired(to expression: inout DocumentBuilder) {
        expression.array("$lt") {
            $0.append("$expires")
            $0.append("$$NOW")
        }
    }

    private static func append(_ sessions: [SessionID], to set: inout DocumentBuilder) {
        set.array("sessions") { array in
            for session in sessions { array.document { $0.append("id", session) } }
        }
    }

    private static func append(_ duration: Duration, to set: inout DocumentBuilder) {
        let milliseconds = Int64(duration.wholeMicroseconds / 1000)
        set.append("lasts", milliseconds)
        set.document("expires") { sum in
            sum.array("$add") {
                $0.append("$$NOW")
                $0.append(milliseconds)
            }
        }
    }
}
