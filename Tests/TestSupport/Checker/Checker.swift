internal import ProtoShop

/// Holds what clients saw against what the database has, once everything has come to rest.
///
/// It knows nothing of how the shop works but what it promises: an accepted order is never lost, takes effect once, moves stock once, has
/// one number, and is told to whom it concerns.
package struct Checker {
    package enum Kind: String, Sendable {
        /// An order was accepted and is not there, or is another.
        case lost
        /// An order is there that nobody sent, or whose sender was told that nothing happened.
        case unexpected
        /// A key or an order took effect twice.
        case duplicate
        /// Numbers have a gap or a repeat.
        case sequence
        /// A settler wrote that had been relieved.
        case fence
        /// Pieces in stock are not what is left of them.
        case stock
        /// A total is not the sum of its lines.
        case money
        /// An order has not come to its end.
        case unfinished
        /// A completion was not told, told wrongly, or told to a stranger.
        case notification
        /// An order was seen in a state that it cannot have had then.
        case state
    }

    package struct Finding: Sendable, CustomStringConvertible {
        package var kind: Kind
        package var text: String

        package var description: String { "\(kind.rawValue): \(text)" }
    }

    private let events: [History.Event]
    private let contents: ShopContents
    private let initialStock: [String: Int64]
    private let orders: [String: ShopContents.Order]
    private let rows: [String: ShopContents.Row]

    /// - Parameter initialStock: by product, before any order.
    package init(_ history: History, _ contents: ShopContents, initialStock: [String: Int64]) {
        events = history.events
        self.contents = contents
        self.initialStock = initialStock
        orders = Dictionary(contents.orders.map { ($0.id, $0) }) { first, _ in first }
        rows = Dictionary(contents.rows.map { ($0.order, $0) }) { first, _ in first }
    }

    /// Everything that is wrong; empty where all promises are kept.
    package func findings() -> [Finding] {
        answers() + documents() + ledger() + stock() + money() + notifications() + observations()
    }

    private static let accepted: Int64 = 1
    private static let fulfilled: Int64 = 2

    private struct Name: Hashable {
        var client: String
        var key: String
    }

    // MARK: What callers were told

    private func answers() -> [Finding] {
        var ids: [Name: Set<String>] = [:]
        for case .accepted(let client, let key, let id) in events { ids[Name(client: client, key: key), default: []].insert(id) }
        return ids.flatMap { name, ids -> [Finding] in
            var found = ids.compactMap { id -> Finding? in
                guard let order = orders[id] else { return Finding(kind: .lost, text: "\(name.client)/\(name.key) as \(id)") }
                return order.identity == name.client && order.key == name.key
                    ? nil : Finding(kind: .lost, text: "\(name.client)/\(name.key): \(id) is \(order.identity)/\(order.key)")
            }
            if ids.count > 1 { found.append(Finding(kind: .duplicate, text: "\(name.client)/\(name.key) is \(ids.sorted())")) }
            return found
        }
    }

    private func documents() -> [Finding] {
        var invoked: [Name: Set<[String: Int64]>] = [:]
        var refusals: [Name: Int] = [:]
        var calls: [Name: Int] = [:]
        for event in events {
            switch event {
            case .invoked(let submission):
                let name = Name(client: submission.client, key: submission.key)
                invoked[name, default: []].insert(submission.lines)
                calls[name, default: 0] += 1
            case .refused(let client, let key): refusals[Name(client: client, key: key), default: 0] += 1
            default: break
            }
        }
        var found: [Finding] = []
        for (name, same) in Dictionary(grouping: contents.orders, by: { Name(client: $0.identity, key: $0.key) }) where same.count > 1 {
            found.append(Finding(kind: .duplicate, text: "\(name.client)/\(name.key) is stored as \(same.map(\.id))"))
        }
        for order in contents.orders {
            let name = Name(client: order.identity, key: order.key)
            if invoked[name]?.contains(order.lines) != true {
                found.append(Finding(kind: .unexpected, text: "nobody sent \(order.id): \(name.client)/\(name.key) \(order.lines)"))
            } else if refusals[name] == calls[name] {
                found.append(Finding(kind: .unexpected, text: "\(name.client)/\(name.key) was said not to have been carried out"))
            }
            if order.isQueued || (order.state == Self.accepted && !order.isParked) {
                found.append(Finding(kind: .unfinished, text: "\(order.id): \(name.client)/\(name.key)"))
            }
        }
        return found
    }

    // MARK: The ledger

    private func ledger() -> [Finding] {
        var found: [Finding] = []
        for (order, same) in Dictionary(grouping: contents.rows, by: \.order) where same.count > 1 {
            found.append(Finding(kind: .duplicate, text: "\(order) was settled as \(same.map(\.sequence))"))
        }
        for (row, expected) in zip(contents.rows, 1...) where row.sequence != expected {
            found.append(Finding(kind: .sequence, text: "\(row.sequence) where \(expected) should be"))
            break
        }
        for settlement in contents.settlements {
            if settlement.rows.last?.sequence != settlement.last {
                found.append(Finding(kind: .sequence, text: "settlement \(settlement.last) ends with \(settlement.rows.last?.sequence ?? 0)"))
            }
            for row in settlement.rows { found += link(row, settlement) }
        }
        if contents.sequence != Int64(contents.rows.count) {
            found.append(Finding(kind: .sequence, text: "\(contents.sequence) numbers were given out for \(contents.rows.count) rows"))
        }
        for (before, after) in zip(contents.settlements, contents.settlements.dropFirst()) where after.epoch < before.epoch {
            found.append(
                Finding(kind: .fence, text: "settlement \(after.last) of epoch \(after.epoch) follows one of epoch \(before.epoch)"))
        }
        for order in contents.orders where order.state != Self.accepted && rows[order.id] == nil {
            found.append(Finding(kind: .lost, text: "\(order.id) is final, and no settlement has it"))
        }
        return found
    }

    /// A row and its order belong together.
    private func link(_ row: ShopContents.Row, _ settlement: ShopContents.Settlement) -> [Finding] {
        guard let order = orders[row.order] else { return [Finding(kind: .unexpected, text: "\(row.sequence) settles \(row.order), which is not there")] }
        let isSame = order.identity == row.identity && order.key == row.key && order.state == row.state && order.settlement == settlement.last
        return isSame ? [] : [Finding(kind: .state, text: "\(row.sequence) says \(row), the order \(order)")]
    }

    // MARK: Stock and money

    private func stock() -> [Finding] {
        var left = initialStock
        var found: [Finding] = []
        for row in contents.rows where row.state == Self.fulfilled {
            for (product, quantity) in orders[row.order]?.lines ?? [:] {
                left[product, default: 0] -= quantity
                if left[product, default: 0] < 0 { found.append(Finding(kind: .stock, text: "\(row.sequence) takes \(product) below 0")) }
            }
        }
        for (product, count) in contents.stock where count != left[product, default: 0] || count < 0 {
            found.append(Finding(kind: .stock, text: "\(product) has \(count), \(left[product, default: 0]) should be left"))
        }
        return found
    }

    private func money() -> [Finding] {
        contents.rows.compactMap { row in
            guard row.state == Self.fulfilled, let order = orders[row.order] else { return nil }
            // Prices are in the order of the lines, which are sorted by product.
            let quantities = order.lines.sorted { Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8)) }.map(\.value)
            let total = zip(quantities, row.prices).reduce(0) { $0 + $1.0 * $1.1 }
            return row.prices.count == quantities.count && total == row.total
                ? nil : Finding(kind: .money, text: "\(row.sequence): \(row.prices) of \(quantities) is not \(row.total ?? 0)")
        }
    }

    // MARK: What clients were shown

    private func notifications() -> [Finding] {
        var told: [History.Subscriber: Set<Int64>] = [:]
        var found: [Finding] = []
        let bySequence = Dictionary(contents.rows.map { ($0.sequence, $0) }) { first, _ in first }
        for event in events {
            switch event {
            case .subscribed(let subscriber): told[subscriber, default: []] = told[subscriber] ?? []
            case .notified(let subscriber, let completion):
                told[subscriber, default: []].insert(completion.sequence)
                let row = bySequence[completion.sequence]
                let isRight = row?.order == completion.orderId && row?.key == completion.idempotencyKey
                    && row?.identity == completion.submitter && row?.state == Int64(completion.state.rawValue)
                    && row?.total == completion.total?.inHundredths
                let isForeign = subscriber.submitter.map { $0 != completion.submitter } ?? false
                if !isRight || isForeign {
                    found.append(Finding(kind: .notification, text: "\(subscriber.name) was told \(completion), the ledger has \(row.map { "\($0)" } ?? "nothing")"))
                }
            default: break
            }
        }
        for (subscriber, sequences) in told {
            let missing = contents.rows.filter { row in
                (subscriber.submitter.map { $0 == row.identity } ?? true) && !sequences.contains(row.sequence)
            }
            if let first = missing.first {
                found.append(Finding(kind: .notification, text: "\(subscriber.name) was not told of \(missing.count), the first is \(first.sequence)"))
            }
        }
        return found
    }

    private func observations() -> [Finding] {
        var last: [String: Orders.Order] = [:]
        return events.compactMap { event in
            guard case .observed(let client, let order) = event else { return nil }
            let previous = last.updateValue(order, forKey: order.id)
            if let previous, previous.isFinal, previous != order {
                return Finding(kind: .state, text: "\(client) saw \(order.id) go from \(previous.state) to \(order.state)")
            }
            guard order.isFinal else { return nil }
            let row = rows[order.id]
            let isRight = row?.state == Int64(order.state.rawValue) && row?.sequence == order.sequence && row?.total == order.total?.inHundredths
            return isRight ? nil : Finding(kind: .state, text: "\(client) saw \(order.id) as \(order.state), the ledger has \(row.map { "\($0)" } ?? "nothing")")
        }
    }
}

extension Orders.Order {
    fileprivate var isFinal: Bool { state != .accepted && state != .unspecified }
}

extension Catalog.Money {
    fileprivate var inHundredths: Int64 { units * 100 + Int64(nanos / 10_000_000) }
}
