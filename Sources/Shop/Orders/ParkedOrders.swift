import MongoDB
import ProtoShop
import RPC

/// Which parked orders are to be tried anew, checked.
enum RequeueRequest: Sendable, Equatable {
    case all
    case some(Set<String>)

    init(_ request: Orders.RequeueOrdersRequest) throws(RPCError) {
        var violations = Violations()
        if request.all {
            if !request.ids.isEmpty { violations.add("ids", "must be empty where all is set") }
        } else if !(1...Limits.maxRequeued).contains(request.ids.count) {
            violations.add("ids", "must be 1 to \(Limits.maxRequeued) ids, or none with all; there are \(request.ids.count)")
        }
        try violations.check()
        self = request.all ? .all : .some(Set(request.ids))
    }
}

/// Puts parked orders of a caller back into the queue.
struct ParkedOrders: Sendable {
    let database: ShopDatabase
    let orders: OrderStore

    /// How many were put back. Those that are not parked stay as they are, so that repeating this does no harm.
    func requeue(_ request: RequeueRequest, by identity: String, before deadline: Deadline) throws(RPCError) -> Int64 {
        switch request {
        case .some(let ids):
            // What can be no order's id need not be looked for.
            guard ids.allSatisfy(OrderID.isValid) else { throw OrderReader.notFound }
            let count = try database.perform(.write, before: deadline) { client throws(MongoError) -> Int64? in
                guard try orders.areAll(ids, ownedBy: identity, client, before: deadline) else { return nil }
                var (rest, requeued) = (Array(ids)[...], Int64(0))
                while !rest.isEmpty {
                    requeued += try orders.requeue(Array(rest.prefix(Limits.requeuedAtOnce)), ownedBy: identity, client, before: deadline)
                    rest = rest.dropFirst(Limits.requeuedAtOnce)
                }
                return requeued
            }
            guard let count else { throw OrderReader.notFound }
            return count
        case .all:
            return try database.perform(.write, before: deadline) { client throws(MongoError) in
                try requeueAll(parkedUpTo: .now(), identity, client, before: deadline)
            }
        }
    }

    /// Some at a time. What is parked again meanwhile is not tried a second time, so this comes to an end.
    private func requeueAll(
        parkedUpTo start: BSONDate, _ identity: String, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Int64 {
        var requeued: Int64 = 0
        var position: OrderPosition?
        while true {
            let parked = try orders.listed(
                OrderList(identity: identity, isParked: true), after: position, count: Limits.requeuedAtOnce, client, before: deadline)
            guard let last = parked.last else { return requeued }
            let ids = parked.filter { ($0.parking?.time ?? start) <= start }.map(\.position.id)
            if !ids.isEmpty { requeued += try orders.requeue(ids, ownedBy: identity, client, before: deadline) }
            position = last.position
        }
    }
}

extension OrderStore {
    /// Whether all of these are orders of this identity.
    fileprivate func areAll(
        _ ids: Set<String>, ownedBy identity: String, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Bool {
        let filter = Document { filter in
            filter.document("_id") { $0.append("$in", Array(ids)) }
            filter.append("identity", identity)
        }
        return try client.collection(CollectionName.orders, in: database)
            .count(filter, hint: "_id_", readConcern: .majority, timeLimit: deadline.remaining) == Int64(ids.count)
    }

    /// Puts those of these orders back into the queue that belong to this identity and are parked.
    fileprivate func requeue(
        _ ids: [String], ownedBy identity: String, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Int64 {
        let filter = Document { filter in
            filter.document("_id") { $0.append("$in", ids) }
            filter.append("identity", identity)
            filter.append("queued", false)
        }
        let update = Update { update in
            update.document("$set") { $0.append("queued", true) }
            update.document("$unset") { $0.append("parked", true) }
        }
        let result = try client.collection(CollectionName.orders, in: database)
            .updateMany(filter, update, hint: "_id_", timeLimit: deadline.remaining)
        return Int64(result.modifiedCount)
    }
}
