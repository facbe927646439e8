import MongoDB
import RPC
import Synchronization

/// The first settlement as it was seen last. What was settled never changes, and a settlement's id is not given out again.
final class SeenBeginning: Sendable {
    struct Place {
        let id: Int64
        /// The number of its first completion.
        let first: Int64
    }

    let place = Mutex<Place?>(nil)
}

/// When what somebody was woken for was settled, if he has not looked since.
final class SettledNews: Sendable {
    private let newest = Mutex<ClusterTime?>(nil)

    func note(_ time: ClusterTime?) {
        guard let time else { return }
        newest.withLock { $0 = max($0 ?? time, time) }
    }

    func take() -> ClusterTime? {
        newest.withLock { newest in
            defer { newest = nil }
            return newest
        }
    }
}

/// The ends of the log of completions. Its beginning goes with time, as the database removes settlements that are past their retention.
extension SettlementStore {
    /// The number of the last completion that somebody may be told of, or 0: a majority has it, and its order's document says it, too.
    func lastSequence(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Int64 {
        try ProgressStore(database: database).sequence(client, before: deadline)
    }

    /// The same, for who was woken by what was settled at `time`: waits until a majority has it, but not for long, as nobody depends on
    /// it.
    func end(after time: ClusterTime?, _ client: borrowing Client) throws(MongoError) -> Int64 {
        guard let time else { return try lastSequence(client, before: .after(Limits.maxQueryTime)) }
        do throws(MongoError) {
            return try ProgressStore(database: database).sequence(notBefore: time, client, before: .after(Limits.majorityPatience))
        } catch {
            if error.kind != .timeout { throw error }
            return try lastSequence(client, before: .after(Limits.maxQueryTime))
        }
    }

    /// The number of the first completion that is there; one more than the last where there is none any more.
    func firstSequence(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Int64 {
        if let first = try beginning(client, before: deadline) { return first }
        // Nothing was settled, or everything has been removed. What is settled between the two looks is found by the second, and
        // begins where it begins.
        let given = try lastSequence(client, before: deadline)
        return try beginning(client, before: deadline) ?? given + 1
    }

    /// Asked after each reading of the log: so only the first settlement's id is looked at, on the index, while it is the one that was
    /// seen last.
    private func beginning(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Int64? {
        let idOptions = FindOptions(
            sort: Document { $0.append("_id", 1) }, projection: Document { $0.append("_id", 1) }, readConcern: .majority,
            timeLimit: deadline.remaining)
        let collection = client.collection(CollectionName.settlements, in: database)
        let id = try collection.findOne(Document(), idOptions) { row throws(MongoError) in try row.int64("_id") }
        guard let id else { return nil }
        if let known = seenBeginning.place.withLock({ $0 }), known.id == id { return known.first }
        let projection = Document { projection in
            projection.document("first") { first in
                first.array("$arrayElemAt") {
                    $0.append("$rows.sequence")
                    $0.append(Int32(0))
                }
            }
        }
        let options = FindOptions(
            sort: Document { $0.append("_id", 1) }, projection: projection, readConcern: .majority, timeLimit: deadline.remaining)
        let found = try collection.findOne(Document(), options) { row throws(MongoError) in
            SeenBeginning.Place(id: try row.int64("_id"), first: try row.int64("first"))
        }
        seenBeginning.place.withLock { $0 = found }
        return found?.first
    }

    /// What a reader is told whose place in the log is before its beginning.
    static func expired(after sequence: Int64, first: Int64) -> RPCError {
        RPCError(
            .outOfRange, reason: "COMPLETIONS_EXPIRED",
            """
            completions after \(sequence) and before \(first) are past their retention and were removed for good; \
            set skip_expired to go on with \(first)
            """,
            disposition: .notExecuted, metadata: ["first_sequence": "\(first)"])
    }
}
