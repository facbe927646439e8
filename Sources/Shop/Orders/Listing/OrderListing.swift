import MongoDB
import ProtoShop
import RPC

/// Finds pages of a caller's orders.
///
/// A page ends early, with a token, where going on would cost too much: after so many orders in other states, lines, or settlements that
/// results have to be read from. So no page costs more than its limits say, however rare a state is.
struct OrderListing: Sendable {
    let reader: OrderReader

    /// Orders with their results, and where the next page begins; nil after the last.
    struct Page: Sendable {
        var orders: [Item] = []
        var next: OrderPosition?
    }

    struct Item: Sendable {
        var order: Orders.Order
        var parking: OrderStore.Listed.Parking?
    }

    func page(_ request: OrderPageRequest, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Page {
        var harvest = Harvest(size: request.size)
        var next = request.after
        // One more than is shown tells whether the list goes on.
        var wanted = request.size + 1
        while true {
            let listed = try reader.orders.listed(request.list, after: next, count: wanted, client, before: deadline)
            for row in listed {
                guard harvest.take(row) else { return try page(harvest, next: next, client, before: deadline) }
                next = row.position
            }
            if listed.count < wanted { return try page(harvest, next: nil, client, before: deadline) }
            wanted = max(harvest.missing + 1, Limits.ordersReadAtOnce)
        }
    }

    private func page(
        _ harvest: Harvest, next: OrderPosition?, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Page {
        let results = try reader.settlements.results(of: harvest.records, client, before: deadline)
        let items = harvest.rows.compactMap { row -> Item? in
            guard case .order(let record) = row.content else {
                // All that can be said of an order whose document cannot be read.
                return Item(order: .init(id: row.position.id, acceptTime: row.position.acceptedAt.timestamp), parking: row.parking)
            }
            return OrderReader.Found(record, results).map { Item(order: $0.order, parking: row.parking) }
        }
        return Page(orders: items, next: next)
    }

    /// What a page has gathered so far.
    private struct Harvest {
        let size: Int
        private(set) var rows: [OrderStore.Listed] = []
        private var lines = 0
        private var settlements: Set<Int64> = []
        private var passedOver = 0

        init(size: Int) { self.size = size }

        var missing: Int { size - rows.count }

        var records: [OrderRecord] {
            rows.compactMap { if case .order(let record) = $0.content { record } else { nil } }
        }

        /// Takes in the next order of the list, or passes over it. False where it has to wait for the next page.
        mutating func take(_ row: OrderStore.Listed) -> Bool {
            switch row.content {
            case .notWanted:
                guard passedOver < Limits.maxOrdersPassedOver else { return false }
                passedOver += 1
                return true
            case .unreadable:
                guard missing > 0 else { return false }
            case .order(let record):
                let isDear = lines + record.lines.count > Limits.maxLinesOfPage
                    || record.settlement.map { !settlements.contains($0) && settlements.count == Limits.maxSettlementsOfPage } ?? false
                guard missing > 0, !isDear else { return false }
                lines += record.lines.count
                if let settlement = record.settlement { settlements.insert(settlement) }
            }
            rows.append(row)
            return true
        }
    }
}
