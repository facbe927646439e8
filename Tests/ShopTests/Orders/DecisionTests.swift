import ProtoShop
import TestSupport
import Testing

@testable import Shop

@Suite("Decisions")
struct DecisionTests {
    private static let catalogue: [String: StockedProduct] = [
        "a": StockedProduct(price: MinorAmount(currency: "USD", minor: 99), stock: 10),
        "b": StockedProduct(price: MinorAmount(currency: "USD", minor: 150), stock: 1),
        "euro": StockedProduct(price: MinorAmount(currency: "EUR", minor: 100), stock: 10),
        "dear": StockedProduct(price: MinorAmount(currency: "USD", minor: .max / 2), stock: 10),
        "free": StockedProduct(price: MinorAmount(currency: "USD", minor: 0), stock: 10),
    ]

    private func order(_ lines: [(String, Int64)], expected: Int64? = nil) -> OpenOrder {
        OpenOrder(
            id: "o", lines: lines.map { OrderLine(productID: $0.0, quantity: $0.1) },
            expectedTotal: expected.map { MinorAmount(currency: "USD", minor: $0) })
    }

    @Test(
        "a single order",
        arguments: [
            ([("a", 10)], nil, .fulfilled(total: MinorAmount(currency: "USD", minor: 990), unitPrices: [99])),
            ([("a", 2), ("b", 1)], 348, .fulfilled(total: MinorAmount(currency: "USD", minor: 348), unitPrices: [99, 150])),
            ([("free", 1)], 0, .fulfilled(total: MinorAmount(currency: "USD", minor: 0), unitPrices: [0])),
            ([("a", 1), ("none", 1)], nil, .rejected(.unknownProduct, detail: "none")),
            ([("a", 1), ("euro", 1)], nil, .rejected(.mixedCurrencies, detail: "euro")),
            ([("dear", 3)], nil, .rejected(.totalOverflow, detail: "")),
            ([("dear", 2), ("a", 1)], nil, .rejected(.totalOverflow, detail: "")),
            ([("a", 1)], 100, .rejected(.totalMismatch, detail: "the total is 0.99 USD, expected was 1.00 USD")),
            ([("a", 11)], nil, .rejected(.outOfStock, detail: "a")),
            ([("a", 1), ("b", 2)], nil, .rejected(.outOfStock, detail: "b")),
            // What is wrong with the order comes before what more stock could mend.
            ([("a", 11), ("none", 1)], nil, .rejected(.unknownProduct, detail: "none")),
            ([("a", 11)], 1, .rejected(.totalMismatch, detail: "the total is 10.89 USD, expected was 0.01 USD")),
        ] as [([(String, Int64)], Int64?, Verdict)])
    func single(lines: [(String, Int64)], expected: Int64?, verdict: Verdict) {
        #expect(Decisions.decide([order(lines, expected: expected)], products: Self.catalogue).verdicts == [verdict])
    }

    @Test("each order finds what those before it left; a rejected one takes nothing")
    func inOrder() {
        let decisions = Decisions.decide(
            [order([("a", 6)]), order([("a", 5), ("b", 1)]), order([("a", 4)]), order([("a", 1)]), order([("b", 1)])],
            products: Self.catalogue)
        let fulfilled = decisions.verdicts.map { if case .fulfilled = $0 { true } else { false } }
        #expect(fulfilled == [true, false, true, false, true])
        #expect(decisions.demands == ["a": 10, "b": 1])
    }

    @Test("equal demands become one stock change, in a fixed order; what loses its last pieces is by itself")
    func stockChanges() {
        let decisions = Decisions(verdicts: [], demands: ["c": 1, "a": 2, "b": 1, "d": 2, "e": 7, "f": 2])
        let products = ["a": 3, "b": 2, "c": 9, "d": 2, "e": 7, "f": 2].mapValues { (stock: Int64) in
            StockedProduct(price: MinorAmount(currency: "USD", minor: 1), stock: stock)
        }
        #expect(
            decisions.stockChanges(products) == [
                .init(quantity: 1, leavesNone: false, productIDs: ["b", "c"]), .init(quantity: 2, leavesNone: false, productIDs: ["a"]),
                .init(quantity: 2, leavesNone: true, productIDs: ["d", "f"]), .init(quantity: 7, leavesNone: true, productIDs: ["e"]),
            ])
    }

    @Test("random orders are decided as a shopkeeper with a till and shelves would", arguments: Seeds.fresh(200))
    func randomHistory(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let currencies = ["USD", "USD", "USD", "EUR"]
        var products: [String: StockedProduct] = [:]
        for index in 0..<Int.random(in: 1...8, using: &random) {
            let huge = Int.random(in: 0..<10, using: &random) == 0
            products["p\(index)"] = StockedProduct(
                price: MinorAmount(
                    currency: currencies.randomElement(using: &random) ?? "USD",
                    minor: huge ? .max / 3 : Int64.random(in: 0...500, using: &random)),
                stock: Int64.random(in: 0...30, using: &random))
        }
        let orders = (0..<40).map { index in
            OpenOrder(
                id: "o\(index)",
                lines: Set((0..<Int.random(in: 1...3, using: &random)).map { _ in Int.random(in: 0...8, using: &random) }).sorted()
                    .map { OrderLine(productID: "p\($0)", quantity: Int64.random(in: 1...6, using: &random)) },
                expectedTotal: Int.random(in: 0..<4, using: &random) == 0
                    ? MinorAmount(currency: "USD", minor: Int64.random(in: 0...800, using: &random)) : nil,
                isCancelled: Int.random(in: 0..<8, using: &random) == 0)
        }
        let decisions = Decisions.decide(orders, products: products)
        var shop = Shopkeeper(products: products)
        for (order, verdict) in zip(orders, decisions.verdicts) { #expect(shop.serve(order) == Shopkeeper.Outcome(verdict)) }
        for (id, product) in products {
            #expect(product.stock - decisions.demands[id, default: 0] == shop.shelves[id])
            #expect(shop.shelves[id, default: 0] >= 0)
        }
    }
}

/// The model: takes pieces off shelves one order at a time, and adds up in numbers that cannot overflow.
private struct Shopkeeper {
    enum Outcome: Equatable {
        case sold(Int128)
        case refused(Orders.RejectReason)
        case calledOff

        init(_ verdict: Verdict) {
            switch verdict {
            case .fulfilled(let total, _): self = .sold(Int128(total.minor))
            case .rejected(let reason, _): self = .refused(reason)
            case .cancelled: self = .calledOff
            }
        }
    }

    let products: [String: StockedProduct]
    var shelves: [String: Int64]

    init(products: [String: StockedProduct]) {
        self.products = products
        shelves = products.mapValues(\.stock)
    }

    mutating func serve(_ order: OpenOrder) -> Outcome {
        if order.isCancelled { return .calledOff }
        // Unknown products and mixed currencies are found line by line.
        var currency: String?
        for line in order.lines {
            guard let product = products[line.productID] else { return .refused(.unknownProduct) }
            if let currency, currency != product.price.currency { return .refused(.mixedCurrencies) }
            currency = product.price.currency
        }
        let total = order.lines.reduce(Int128(0)) { $0 + Int128($1.quantity) * Int128(products[$1.productID]?.price.minor ?? 0) }
        if total > Int128(Int64.max) { return .refused(.totalOverflow) }
        if let expected = order.expectedTotal, expected.currency != currency || Int128(expected.minor) != total {
            return .refused(.totalMismatch)
        }
        if order.lines.contains(where: { shelves[$0.productID, default: 0] < $0.quantity }) { return .refused(.outOfStock) }
        for line in order.lines { shelves[line.productID, default: 0] -= line.quantity }
        return .sold(total)
    }
}

@Suite("Settlement batches")
struct SettlementBatchTests {
    private func orders(_ products: [[String]]) -> [OpenOrder] {
        products.map { OpenOrder(id: "o", lines: $0.map { OrderLine(productID: $0, quantity: 1) }, expectedTotal: nil) }
    }

    @Test(
        "are bounded by the documents they write",
        arguments: [
            ([["a"], ["a"], ["a"]], 6, 3),  // three orders, a product, the lease, the settlement
            ([["a"], ["a"], ["a"]], 5, 2),
            ([["a", "b"], ["a", "b"], ["c"]], 7, 2),
            ([["a", "b", "c", "d"]], 1, 1),  // the first always fits
            ([], 10, 0),
        ] as [([[String]], Int, Int)])
    func bounded(products: [[String]], maxWrites: Int, count: Int) {
        #expect(SettlementBatch.prefix(of: orders(products), maxWrites: maxWrites) == count)
    }
}
