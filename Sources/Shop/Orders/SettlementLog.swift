import MongoDB
import RPC

/// The ends of the log of completions. Its beginning goes with time, as the database removes settlements that are past their retention.
extension SettlementStore {
    /// The number of the last completion that a majority has, or 0.
    func lastSequence(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Int64 {
        if let last = try end(client, before: deadline) { return last }
        // Nothing was settled, or everything has been removed. What is settled between the two looks is found by the second.
        let given = try LeaseStore(database: database).sequence(client, before: deadline)
        return try end(client, before: deadline) ?? given
    }

    private func end(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Int64? {
        let options = FindOptions(
            sort: Document { $0.append("_id", -1) }, projection: Document { $0.append("_id", 1) }, readConcern: .majority,
            timeLimit: deadline.remaining)
        return try client.collection(CollectionName.settlements, in: database)
            .findOne(Document(), options) { row throws(MongoError) in try row.int64("_id") }
    }

    /// The number of the first completion that is there; one more than the last where there is none any more.
    func firstSequence(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Int64 {
        if let first = try beginning(client, before: deadline) { return first }
        // As above: what is settled between the two looks is found by the second, and begins where it begins.
        let given = try LeaseStore(database: database).sequence(client, before: deadline)
        return try beginning(client, before: deadline) ?? given + 1
    }

    private func beginning(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Int64? {
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
        return try client.collection(CollectionName.settlements, in: database)
            .findOne(Document(), options) { row throws(MongoError) in try row.int64("first") }
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
