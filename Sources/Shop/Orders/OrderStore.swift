import MongoDB
import ProtoShop
import RPC

/// The collection `orders`. Nothing is read from it for a caller without the caller's identity.
struct OrderStore: Sendable {
    let database: String

    static let indexes = [
        // The queue: orders leave it by losing the field `queued`, so it never holds more than what waits. Always the lowest
        // entry is taken, never what follows a mark: late inserts and steps of the clock would slip under one.
        Index(
            queue, keys: Document { $0.append("accepted", 1); $0.append("_id", 1) },
            partialFilter: Document { $0.append("queued", true) })
    ]

    private static let queue = "queue"

    /// Inserts new orders in one command, durably. Ids that exist already are among the result's write errors.
    func insert(
        _ orders: [OrderRecord], _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> WriteResult {
        try client.collection(CollectionName.orders, in: database)
            .insertMany(orders.map(\.document), timeLimit: deadline.remaining)
    }

    /// The orders with these ids that belong to these identities, as a majority has them.
    ///
    /// - Parameter owners: the identity that asks for each id.
    func orders(
        ownedBy owners: [String: String], _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [OrderRecord] {
        guard !owners.isEmpty else { return [] }
        let filter = Document { filter in
            filter.document("_id") { $0.append("$in", Array(owners.keys)) }
            filter.document("identity") { $0.append("$in", Array(Set(owners.values))) }
        }
        var cursor = try client.collection(CollectionName.orders, in: database)
            .find(filter, FindOptions(limit: owners.count, readConcern: .majority, timeLimit: deadline.remaining))
        var records: [OrderRecord] = []
        while let row = try cursor.next() {
            let record = try OrderRecord(row)
            if owners[record.id] == record.identity { records.append(record) }
        }
        return records
    }
}

extension OrderStore {
    /// Asks the settler to cancel an order of this identity that is not final; a parked one is queued again for it. Otherwise
    /// nothing changes.
    func askToCancel(
        _ id: String, ownedBy identity: String, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) {
        let filter = Document { filter in
            filter.append("_id", id)
            filter.append("identity", identity)
            filter.append("state", Orders.OrderState.accepted.rawValue)
        }
        let update = Update { update in
            update.document("$set") { $0.append("cancel", true); $0.append("queued", true) }
            update.document("$unset") { $0.append("parked", true) }
        }
        try client.collection(CollectionName.orders, in: database).updateOne(filter, update, timeLimit: deadline.remaining)
    }
}

// MARK: - The settler's side

extension OrderStore {
    /// What the head of the queue holds: orders, and ids of documents that are no orders.
    struct Head: Sendable {
        var orders: [OrderRecord] = []
        var unreadable: [String] = []
    }

    /// The oldest accepted orders, or the oldest that were accepted at `start` or later.
    func oldest(
        _ count: Int, from start: BSONDate?, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Head {
        let options = FindOptions(
            sort: Document { $0.append("accepted", 1); $0.append("_id", 1) }, limit: count, hint: Self.queue,
            timeLimit: deadline.remaining)
        let collection = client.collection(CollectionName.orders, in: database)
        let filter = Document { filter in
            filter.append("queued", true)
            if let start { filter.document("accepted") { $0.append("$gte", start) } }
        }
        var cursor = try collection.find(filter, options)
        var head = Head()
        while let row = try cursor.next() {
            do throws(MongoError) {
                head.orders.append(try OrderRecord(row))
            } catch {
                head.unreadable.append(try row.string("_id"))
            }
        }
        return head
    }

    /// Marks queued orders as decided by `settlement`, in the session's transaction: one statement a state.
    ///
    /// Throws `.writeConflict` where one of them is not queued any more.
    func leaveQueue(
        _ orders: [CompletionRecord], settlement: Int64, finalAt: BSONDate, _ session: borrowing Session
    ) throws(MongoError) {
        let collection = session.collection(CollectionName.orders, in: database)
        var bulk = try collection.bulkWrite(ordered: false)
        for (state, orders) in Dictionary(grouping: orders, by: \.state) {
            let filter = Document { filter in
                filter.document("_id") { $0.append("$in", orders.map(\.orderID)) }
                filter.append("queued", true)
                // Asked to be cancelled since it was read: it has to be decided anew.
                if state != .cancelled { filter.document("cancel") { $0.append("$exists", false) } }
            }
            let update = Update { update in
                update.document("$set") {
                    $0.append("state", state.rawValue)
                    $0.append("settlement", settlement)
                    $0.append("final", finalAt)
                }
                update.document("$unset") { $0.append("queued", true) }
            }
            // Without the hint, the planner may take the queue's index and walk all of it.
            try bulk.updateMany(filter, update, hint: "_id_")
        }
        let result = try bulk.execute().checked()
        guard result.modifiedCount == orders.count else { throw SettlementConflict.error("orders left the queue meanwhile") }
    }

    /// Takes an order out of the queue without deciding it, in the session's transaction: it stays accepted, visible, and can be
    /// queued again.
    func park(_ id: String, reason: String, _ session: borrowing Session, before deadline: Deadline) throws(MongoError) {
        let update = Update { update in
            update.document("$unset") { $0.append("queued", true) }
            update.document("$set") { set in
                set.document("parked") {
                    $0.append("reason", reason)
                    $0.append("time", BSONDate.now())
                }
            }
        }
        try session.collection(CollectionName.orders, in: database).updateOne(
            Document { $0.append("_id", id); $0.append("queued", true) }, update, timeLimit: deadline.remaining)
    }
}

/// The world changed between reading what is to be settled and settling it. The transaction is void; repeating it would not
/// help, reading again does.
enum SettlementConflict {
    static func error(_ message: String) -> MongoError { MongoError(.writeConflict, message) }
}
