import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

/// Products that change while orders for them are open or being settled.
@Suite("Orders of changing products", .serialized)
struct ChangingProductsTests {
    @Test("a product that open orders want can be deleted: the orders are rejected, with the reason; others are not")
    func deleted() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("gone", stock: 10), .sample("stays", stock: 10)]))
            let lease = try HeldLease(database: shop.database)
            let wanting = try #require(try await orders.submitOrder(.sample("a", [("gone", 1), ("stays", 2)])).order)
            let other = try #require(try await orders.submitOrder(.sample("b", [("stays", 3)])).order)
            #expect(try await catalog.deleteProduct(.init(id: "gone")).product?.stock == 10)
            try lease.release()
            let rejected = try await orders.settled(wanting.id)
            #expect(rejected.state == .rejected && rejected.rejectReason == .unknownProduct && rejected.rejectDetail == "gone")
            #expect(try await orders.settled(other.id).state == .fulfilled)
            #expect(try await catalog.getProduct(.init(id: "stays")).product?.stock == 7)
        }
    }

    @Test("an order pays the price at its settlement, and one that expects another total is rejected")
    func repriced() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("p", cents: 100)]))
            let lease = try HeldLease(database: shop.database)
            let any = try #require(try await orders.submitOrder(.sample("a", [("p", 2)])).order)
            let exact = try #require(try await orders.submitOrder(.sample("b", [("p", 2)], expectedCents: 200)).order)
            let version = try await catalog.getProduct(.init(id: "p")).product?.version ?? 0
            _ = try await catalog.updateProduct(.init(product: .sample("p", cents: 150), updateFields: ["price"], expectedVersion: version))
            try lease.release()
            #expect(try await orders.settled(any.id).total?.units == 3)
            let rejected = try await orders.settled(exact.id)
            #expect(rejected.state == .rejected && rejected.rejectReason == .totalMismatch)
        }
    }

    private static let products = 6
    private static let initialStock: Int64 = 2000

    @Test("stock is adjusted, prices change and products come and go under running orders: each takes effect once", arguments: Seeds.fresh(2))
    func adjustedWhileSettling(seed: UInt64) async throws {
        let first = try RunningShop()
        let second = try RunningShop(database: first.database)
        defer { for shop in [first, second] { shop.stop() } }
        // The last product comes and goes.
        let ids = (0..<Self.products).map { "p\($0)" }
        try await first.withClient { catalog, _ in
            _ = try await catalog.importProducts(.init(products: (ids + ["fleeting"]).map { .sample($0, stock: Self.initialStock) }))
        }
        async let adjusting = Self.adjust(ids, at: second, seed: seed)
        async let repricing: Void = Self.reprice(ids, at: second, seed: seed &+ 1)
        let orders = try await Self.order(ids, at: first, seed: seed &+ 2)
        let adjusted = try await adjusting
        try await repricing

        try await first.withClient { catalog, _ in
            for id in ids {
                let sold = orders.filter { $0.state == .fulfilled }.flatMap(\.lines).filter { $0.productId == id }
                    .reduce(0) { $0 + Int64($1.quantity) }
                let stock = try await catalog.getProduct(.init(id: id)).product?.stock
                #expect(stock == Self.initialStock + adjusted[id, default: 0] - sold, "seed \(seed), \(id)")
            }
            #expect(try await catalog.checkCatalog(.init()).findingCount == 0, "seed \(seed)")
        }
        for order in orders {
            switch order.state {
            case .fulfilled:
                // Each piece at a price that the product had: 100 or 200 cents.
                let pieces = order.lines.reduce(0) { $0 + Int64($1.quantity) }
                let cents = (order.total?.units ?? 0) * 100 + Int64((order.total?.nanos ?? 0) / 10_000_000)
                #expect((pieces * 100...pieces * 200).contains(cents) && cents % 100 == 0, "seed \(seed): \(order)")
            case .rejected:
                let mayBe: [Orders.RejectReason] = order.lines.contains { $0.productId == "fleeting" } ? [.unknownProduct, .outOfStock] : [.outOfStock]
                #expect(mayBe.contains(order.rejectReason), "seed \(seed): \(order)")
            default:
                Issue.record("seed \(seed): not final: \(order)")
            }
        }
    }

    /// Submits orders for random products and returns them when they are final.
    private static func order(_ ids: [String], at shop: RunningShop, seed: UInt64) async throws -> [Orders.Order] {
        try await shop.withClient("buyer") { _, orders in
            try await withThrowingTaskGroup(of: [Orders.Order].self) { group in
                for lane in 0..<4 {
                    group.addTask {
                        var random = SeededGenerator(seed: seed &+ UInt64(lane) << 32)
                        var final: [Orders.Order] = []
                        for number in 0..<40 {
                            let lines = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                                ((ids + ["fleeting"]).randomElement(using: &random) ?? "", Int32.random(in: 1...20, using: &random))
                            }
                            let request = Orders.SubmitOrderRequest.sample("\(lane)-\(number)", lines)
                            let id = try await answer { () throws(RPCError) in try await orders.submitOrder(request, options: options).order?.id }
                            final.append(try await orders.settled(id ?? ""))
                        }
                        return final
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
        }
    }

    /// Adjusts stock at random, each time twice by the same request id. Returns what was added in all, by product.
    private static func adjust(_ ids: [String], at shop: RunningShop, seed: UInt64) async throws -> [String: Int64] {
        var random = SeededGenerator(seed: seed)
        var sums: [String: Int64] = [:]
        try await shop.withClient("stockkeeper") { catalog, _ in
            for number in 0..<150 {
                let id = ids.randomElement(using: &random) ?? ""
                let delta = Bool.random(using: &random) ? Int64.random(in: 1...30, using: &random) : Int64.random(in: -60 ... -1, using: &random)
                let request = Catalog.AdjustStockRequest(id: id, delta: delta, requestId: "adjustment-\(number)")
                do throws(RPCError) {
                    let stock = try await answer { () throws(RPCError) in try await catalog.adjustStock(request, options: options).stock }
                    sums[id, default: 0] += delta
                    let again = try await answer { () throws(RPCError) in try await catalog.adjustStock(request, options: options) }
                    #expect(again == .init(stock: stock, replayed: true))
                } catch {
                    guard error.reason == "STOCK_OUT_OF_RANGE" else { throw error }
                }
            }
        }
        return sums
    }

    /// Changes prices between 1 and 2, and deletes and imports the fleeting product.
    private static func reprice(_ ids: [String], at shop: RunningShop, seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        try await shop.withClient("pricer") { catalog, _ in
            for _ in 0..<80 {
                let wanted = Catalog.Product.sample(ids.randomElement(using: &random) ?? "", cents: Bool.random(using: &random) ? 100 : 200)
                let version = try await answer { () throws(RPCError) in
                    try await catalog.getProduct(.init(id: wanted.id), options: options).product?.version ?? 0
                }
                // Nobody else changes it, and stock is no change.
                _ = try await answer { () throws(RPCError) in
                    try await catalog.updateProduct(.init(product: wanted, updateFields: ["price"], expectedVersion: version), options: options)
                }
                guard Bool.random(using: &random) else { continue }
                _ = try await answer { () throws(RPCError) in
                    do throws(RPCError) {
                        _ = try await catalog.deleteProduct(.init(id: "fleeting"), options: options)
                    } catch {
                        // Deleted by the try before, whose answer was lost.
                        guard error.code == .notFound else { throw error }
                    }
                }
                _ = try await answer { () throws(RPCError) in
                    try await catalog.importProducts(.init(products: [.sample("fleeting", stock: 50)]), options: options)
                }
            }
        }
    }

    private static let options = CallOptions(timeout: .seconds(30))

    /// Asks again while the database does not confirm in time what it did: nothing here does harm when it runs twice.
    private static func answer<Result>(_ call: () async throws(RPCError) -> Result) async throws(RPCError) -> Result {
        for _ in 0..<20 {
            do throws(RPCError) {
                return try await call()
            } catch {
                guard error.code == .unavailable else { throw error }
                do { try await Task.sleep(for: error.retryDelay ?? .zero) } catch { break }
            }
        }
        return try await call()
    }
}
