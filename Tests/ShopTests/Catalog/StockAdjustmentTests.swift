import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

@Suite("Adjustments of stock", .serialized)
struct StockAdjustmentTests {
    private func withProduct(
        stock: Int64 = 10, _ body: (Catalog.CatalogService.Client, RunningShop) async throws -> Void
    ) async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            _ = try await catalog.importProducts(.init(products: [.sample("p", stock: stock), .sample("q", stock: stock)]))
            try await body(catalog, shop)
        }
    }

    @Test("an adjustment is made once for each request id, and its first result is told again")
    func once() async throws {
        try await withProduct { catalog, shop in
            let before = try await catalog.getProduct(.init(id: "p")).product
            let request = Catalog.AdjustStockRequest(id: "p", delta: 5, requestId: "r")
            #expect(try await catalog.adjustStock(request) == .init(stock: 15))
            #expect(try await catalog.adjustStock(.init(id: "p", delta: -12, requestId: "s")) == .init(stock: 3))
            #expect(try await catalog.adjustStock(request) == .init(stock: 15, replayed: true))
            let after = try await catalog.getProduct(.init(id: "p")).product
            #expect(after?.stock == 3 && after?.version == before?.version)
            // Somebody else's request ids are their own.
            try await shop.withClient("other") { catalog, _ in
                let theirs = try await catalog.adjustStock(request)
                #expect(theirs == .init(stock: 8))
            }
            // The first result stands when the product is gone, too.
            _ = try await catalog.deleteProduct(.init(id: "p"))
            #expect(try await catalog.adjustStock(request) == .init(stock: 15, replayed: true))
        }
    }

    @Test("a request id stands for one adjustment", arguments: [
        Catalog.AdjustStockRequest(id: "p", delta: 6, requestId: "r"), .init(id: "p", delta: -5, requestId: "r"), .init(id: "q", delta: 5, requestId: "r"),
    ])
    func reused(request: Catalog.AdjustStockRequest) async throws {
        try await withProduct { catalog, _ in
            _ = try await catalog.adjustStock(.init(id: "p", delta: 5, requestId: "r"))
            let error = await failure { () throws(RPCError) in try await catalog.adjustStock(request) }
            #expect(error?.code == .alreadyExists && error?.reason == "REQUEST_ID_REUSED")
            #expect(try await catalog.getProduct(.init(id: "q")).product?.stock == 10)
        }
    }

    @Test("stock stays within its range, and a refused adjustment leaves its request id free")
    func range() async throws {
        try await withProduct { catalog, _ in
            for delta in [-11, Limits.maxStock - 9, -Limits.maxStock, Limits.maxStock] {
                let error = await failure { () throws(RPCError) in try await catalog.adjustStock(.init(id: "p", delta: delta, requestId: "r")) }
                #expect(error?.code == .failedPrecondition && error?.reason == "STOCK_OUT_OF_RANGE" && error?.metadata == ["stock": "10"])
            }
            let emptied = try await catalog.adjustStock(.init(id: "p", delta: -10, requestId: "r"))
            #expect(emptied == .init(stock: 0))
            let filled = try await catalog.adjustStock(.init(id: "p", delta: Limits.maxStock, requestId: "s"))
            #expect(filled.stock == Limits.maxStock)
            let error = await failure { () throws(RPCError) in try await catalog.adjustStock(.init(id: "none", delta: 1, requestId: "t")) }
            #expect(error?.reason == "PRODUCT_NOT_FOUND")
        }
    }

    @Test("what is no adjustment is refused, all of it at once", arguments: [
        (Catalog.AdjustStockRequest(), ["id", "delta", "request_id"]), (.init(id: "p", delta: .min, requestId: "r"), ["delta"]),
        (.init(id: "p", delta: Limits.maxStock + 1, requestId: "r"), ["delta"]), (.init(id: "p", delta: 1, requestId: "a b"), ["request_id"]),
        (.init(id: "p", delta: 1, requestId: String(repeating: "x", count: 65)), ["request_id"]),
    ])
    func refused(request: Catalog.AdjustStockRequest, fields: [String]) throws {
        let error = #expect(throws: RPCError.self) { try StockAdjustment(request) }
        #expect(error?.fieldViolations.map(\.field) == fields)
    }

    @Test("the database forgets request ids after their time, by itself")
    func expiry() async throws {
        try await withProduct { catalog, shop in
            _ = try await catalog.adjustStock(.init(id: "p", delta: 1, requestId: "r"))
            let indexes = try shop.inDatabase { client throws(MongoError) in
                try client.collection(CollectionName.stockAdjustments, in: shop.database).indexes()
            }
            #expect(indexes.contains { $0.expireAfter == Limits.requestIDLifetime && $0.keys == Document { $0.append("made", 1) } })
            let made = Document { $0.document("made") { $0.append("$type", "date") } }
            #expect(try shop.count(CollectionName.stockAdjustments, made) == 1)
        }
    }

    @Test("the same request ids at two servers at once, for one product or several: each takes effect once", arguments: Seeds.fresh(2))
    func concurrent(seed: UInt64) async throws {
        let first = try RunningShop()
        let second = try RunningShop(database: first.database)
        defer { for shop in [first, second] { shop.stop() } }
        try await first.withClient { catalog, _ in
            _ = try await catalog.importProducts(.init(products: (0..<4).map { .sample("p\($0)", stock: 1000) }))
        }
        // Each id is for two products: of those adjustments one is made, and repeated.
        let requests = (0..<40).flatMap { number in
            (0..<2).map { Catalog.AdjustStockRequest(id: "p\((number + $0) % 4)", delta: Int64(number + 1), requestId: "r\(number)") }
        }
        let made = try await withThrowingTaskGroup(of: [Catalog.AdjustStockRequest].self) { group in
            for (lane, shop) in [first, second, first, second].enumerated() {
                var random = SeededGenerator(seed: seed &+ UInt64(lane))
                let shuffled = requests.shuffled(using: &random)
                group.addTask { try await shop.withClient { catalog, _ in try await Self.adjustAll(shuffled, catalog) } }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(made.count == 40, "seed \(seed): each request id once")
        try await first.withClient { catalog, _ in
            for number in 0..<4 {
                let sum = made.filter { $0.id == "p\(number)" }.reduce(0) { $0 + $1.delta }
                let stock = try await catalog.getProduct(.init(id: "p\(number)")).product?.stock
                #expect(stock == 1000 + sum, "seed \(seed)")
            }
        }
    }

    /// Returns those that were made now, not before.
    private static func adjustAll(
        _ requests: [Catalog.AdjustStockRequest], _ catalog: Catalog.CatalogService.Client
    ) async throws -> [Catalog.AdjustStockRequest] {
        var made: [Catalog.AdjustStockRequest] = []
        for request in requests {
            do throws(RPCError) {
                if try await !catalog.adjustStock(request, options: CallOptions(timeout: .seconds(30))).replayed { made.append(request) }
            } catch {
                guard error.reason == "REQUEST_ID_REUSED" else { throw error }
            }
        }
        return made
    }
}
