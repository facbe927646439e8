import MongoDB
import ProtoShop
import RPC

/// The collection `orders`. Nothing is read from it for a caller without the caller's identity.
struct OrderStore: Sendable {
    let database: String

    static let indexes = [queue, byIdentity]

    /// The queue: orders leave it by losing the field `queued`, so it never holds more than what waits, and what is parked (false). Always
    /// the lowest entry is taken, never what follows a mark: late inserts and steps of the clock would slip under one. The flag is a
    /// key, as what keys decide MongoDB counts without a look at the documents.
    static let queue = Index(
        "queue", keys: Document { $0.append("queued", 1); $0.append("accepted", 1); $0.append("_id", 1) },
        partialFilter: Document { $0.document("queued") { $0.append("$exists", true) } }, maxPageBytes: Limits.maxPageBytes)

    /// An identity's orders by time. When an order is settled its entry stays as it is.
    static let byIdentity = Index(
        "by_identity", keys: Document { $0.append("identity", 1); $0.append("accepted", 1); $0.append("_id", 1) })

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
    /// Orders that wait to be settled, counted on the index alone.
    func queuedCount(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Int64 {
        try client.collection(CollectionName.orders, in: database)
            .count(Document { $0.append("queued", true) }, hint: Self.queue.name, timeLimit: deadline.remaining)
    }

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
            sort: Document { $0.append("accepted", 1); $0.append("_id", 1) }, limit: count, hint: Self.queue.name,
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

    /// Marks queued orders as decided by `settlement`, in the session's transaction: one statement a state. Returns the server, as
    /// `WriteResult` names it.
    ///
    /// Throws `.writeConflict` where one of them is not queued any more, or was asked to be cancelled since it was read.
    ///
    /// - Parameter isCommitted: the settlement stands, whatever the orders say: those that are marked already stay as they are.
    @discardableResult
    func leaveQueue(
        _ orders: [CompletionRecord], settlement: Int64, isCommitted: Bool = false, finalAt: BSONDate, _ session: borrowing Session
    ) throws(MongoError) -> UInt32 {
        let collection = session.collection(CollectionName.orders, in: database)
        var bulk = try collection.bulkWrite(ordered: false)
        for (state, orders) in Dictionary(grouping: orders, by: \.state) {
            let filter = Document { filter in
                filter.document("_id") { $0.append("$in", orders.map(\.orderID)) }
                if isCommitted {
                    filter.append("state", Orders.OrderState.accepted.rawValue)
                } else {
                    filter.append("queued", true)
                    if state != .cancelled { filter.document("cancel") { $0.append("$exists", false) } }
                }
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
        guard isCommitted || result.modifiedCount == orders.count else {
            throw SettlementConflict.error("orders left the queue meanwhile, or are to be cancelled")
        }
        return result.server
    }

    /// Takes an order out of the queue without deciding it, in the session's transaction: it stays accepted, visible, and can be
    /// queued again.
    func park(_ id: String, reason: String, _ session: borrowing Session, before deadline: Deadline) throws(MongoError) {
        let update = Update { update in
            update.document("$set") { set in
                set.append("queued", false)
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
