import ProtoShop

/// An accepted order, as far as deciding it needs.
struct OpenOrder: Sendable, Equatable {
    var id: String
    var lines: [OrderLine]
    var expectedTotal: MinorAmount?
    /// Its client does not want it any more.
    var isCancelled = false
}

/// A product's price and stock, as the settlement's snapshot shows them.
struct StockedProduct: Sendable, Equatable {
    var price: MinorAmount
    var stock: Int64
}

/// What became of an order.
enum Verdict: Sendable, Equatable {
    /// Stock is taken. `unitPrices` are in the order of the lines, in the total's currency.
    case fulfilled(total: MinorAmount, unitPrices: [Int64])
    /// No stock is taken. `detail` is the product or amount that it is about.
    case rejected(Orders.RejectReason, detail: String)
    /// No stock is taken: its client asked for it in time.
    case cancelled
}

/// What became of a batch of orders, and what that takes from stock.
struct Decisions: Sendable, Equatable {
    /// One for each order, in their order.
    var verdicts: [Verdict] = []
    /// Pieces taken, by product.
    var demands: [String: Int64] = [:]
}

extension Decisions {
    /// Decides `orders` one after the other: each finds the stock that those before it left.
    static func decide(_ orders: [OpenOrder], products: [String: StockedProduct]) -> Decisions {
        var decisions = Decisions()
        decisions.verdicts.reserveCapacity(orders.count)
        for order in orders { decisions.decide(order, products) }
        return decisions
    }

    /// What `orders` take from stock at most.
    static func mostDemands(of orders: [OpenOrder]) -> [String: Int64] {
        var demands: [String: Int64] = [:]
        for order in orders where !order.isCancelled {
            for line in order.lines { demands[line.productID, default: 0] += line.quantity }
        }
        return demands
    }

    private mutating func decide(_ order: OpenOrder, _ products: [String: StockedProduct]) {
        let verdict = verdict(on: order, products)
        verdicts.append(verdict)
        guard case .fulfilled = verdict else { return }
        for line in order.lines { demands[line.productID, default: 0] += line.quantity }
    }

    /// What is wrong with the order itself is found before what a larger stock could mend.
    private func verdict(on order: OpenOrder, _ products: [String: StockedProduct]) -> Verdict {
        if order.isCancelled { return .cancelled }
        var total: MinorAmount?
        var unitPrices: [Int64] = []
        var firstShort: String?
        var overflows = false
        for line in order.lines {
            guard let product = products[line.productID] else { return .rejected(.unknownProduct, detail: line.productID) }
            let sum = total ?? MinorAmount(currency: product.price.currency, minor: 0)
            guard sum.currency == product.price.currency else { return .rejected(.mixedCurrencies, detail: line.productID) }
            if let next = sum.adding(line.quantity, times: product.price.minor) { total = next } else { overflows = true; total = sum }
            unitPrices.append(product.price.minor)
            if firstShort == nil, product.stock - demands[line.productID, default: 0] < line.quantity {
                firstShort = line.productID
            }
        }
        guard let total, !overflows else { return .rejected(.totalOverflow, detail: "") }
        if let expected = order.expectedTotal, expected != total {
            return .rejected(.totalMismatch, detail: "the total is \(total), expected was \(expected)")
        }
        if let firstShort { return .rejected(.outOfStock, detail: firstShort) }
        return .fulfilled(total: total, unitPrices: unitPrices)
    }
}

extension Decisions {
    /// Products that lose the same number of pieces.
    struct StockChange: Sendable, Hashable {
        var quantity: Int64
        /// Whether they lose their last ones.
        var leavesNone: Bool
        var productIDs: [String]
    }

    /// The demands with equal quantities together, so that each group is one statement. In a fixed order, so that two
    /// transactions never wait for each other crosswise.
    ///
    /// - Parameter products: what was decided on.
    func stockChanges(_ products: [String: StockedProduct]) -> [StockChange] {
        Dictionary(grouping: demands) { demand in
            StockChange(quantity: demand.value, leavesNone: products[demand.key]?.stock == demand.value, productIDs: [])
        }.map { change, demands in
            StockChange(quantity: change.quantity, leavesNone: change.leavesNone, productIDs: demands.map(\.key).sorted())
        }.sorted { ($0.quantity, $0.leavesNone ? 1 : 0) < ($1.quantity, $1.leavesNone ? 1 : 0) }
    }
}
