import MongoDB
import ProtoShop
import RPC

extension OrderStore {
    /// An order as it stands in a list.
    struct Listed: Sendable {
        var position: OrderPosition
        var content: Content
        /// Where it is parked.
        var parking: Parking?

        enum Content: Sendable {
            case order(OrderRecord)
            /// It is in another state than the list's.
            case notWanted
            /// The document is no order.
            case unreadable
        }

        struct Parking: Sendable, Equatable {
            var reason: String
            var time: BSONDate
        }
    }

    /// The next orders of a list, whatever their state: `count` of them, or fewer at the end. As many index entries and documents are
    /// examined, and one entry more where the list goes on after a position. (For parked orders: those of all parked orders at most.)
    func listed(
        _ list: OrderList, after position: OrderPosition?, count: Int, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [Listed] {
        let options = FindOptions(
            sort: Document { $0.append("accepted", -1); $0.append("_id", -1) }, limit: count, hint: list.indexName,
            readConcern: .majority, timeLimit: deadline.remaining)
        let batch = try client.collection(CollectionName.orders, in: database).findBatch(Self.filter(list, after: position), options)
        var listed: [Listed] = []
        listed.reserveCapacity(batch.count)
        for index in 0..<batch.count { listed.append(try Listed(batch[index], in: list)) }
        return listed
    }

    /// After a position, two ranges of the index, which the database reads one after the other: times that tie with the position's,
    /// and those before.
    private static func filter(_ list: OrderList, after position: OrderPosition?) -> Document {
        Document { filter in
            guard let position else { return list.appendRange(before: list.before, to: &filter) }
            filter.array("$or") { ranges in
                ranges.document { range in
                    list.appendKind(to: &range)
                    range.append("accepted", position.acceptedAt)
                    range.document("_id") { $0.append("$lt", position.id) }
                }
                ranges.document { range in list.appendRange(before: position.acceptedAt, to: &range) }
            }
        }
    }
}

extension OrderList {
    /// Parked orders are so few that they share the queue's index: each index more would cost every order something when it is
    /// settled (docs/decisions/indexes-of-orders.md).
    fileprivate var indexName: String { isParked ? OrderStore.queue.name : OrderStore.byIdentity.name }

    fileprivate func appendKind(to filter: inout DocumentBuilder) {
        filter.append("identity", identity)
        if isParked { filter.append("queued", false) }
    }

    fileprivate func appendRange(before end: BSONDate?, to filter: inout DocumentBuilder) {
        appendKind(to: &filter)
        guard from != nil || end != nil else { return }
        filter.document("accepted") { range in
            if let from { range.append("$gte", from) }
            if let end { range.append("$lt", end) }
        }
    }
}

extension OrderStore.Listed {
    fileprivate init(_ row: DocumentView, in list: OrderList) throws(MongoError) {
        position = OrderPosition(acceptedAt: try row.date("accepted"), id: try row.string("_id"))
        if let parked = row.find("parked")?.document {
            parking = Parking(reason: try parked.string("reason"), time: try parked.date("time"))
        }
        if let state = list.state, row.find("state")?.int64 != Int64(state.rawValue) {
            content = .notWanted
            return
        }
        do throws(MongoError) {
            content = .order(try OrderRecord(row))
        } catch {
            content = .unreadable
        }
    }
}
