import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

@Suite("Products known from earlier settlements", .serialized)
struct KnownProductsTests {
    private static let stamp = CatalogStamp(value: 7)

    private static func product(stock: Int64) -> StockedProduct {
        StockedProduct(price: MinorAmount(currency: "EUR", minor: 100), stock: stock)
    }

    @Test("serve only where more is left than is wanted", arguments: [(9, true), (10, false), (11, false)])
    func more(wanted: Int64, isEnough: Bool) {
        var known = KnownProducts()
        known.learn(["a": Self.product(stock: 15)], without: ["a": 5], at: Self.stamp)
        let enough = known.enough(for: ["a": wanted, "b": 1], at: Self.stamp)
        #expect(enough == (isEnough ? ["a": Self.product(stock: 10)] : [:]))
    }

    @Test("are forgotten with the catalogue's stamp")
    func stamps() {
        var known = KnownProducts()
        known.learn(["a": Self.product(stock: 15)], without: [:], at: Self.stamp)
        #expect(known.enough(for: ["a": 1], at: CatalogStamp(value: 8)).isEmpty)
        known.learn(["b": Self.product(stock: 15)], without: [:], at: CatalogStamp(value: 8))
        #expect(known.enough(for: ["a": 1, "b": 1], at: CatalogStamp(value: 8)).keys.sorted() == ["b"])
    }

    @Test("do not hide what others change: prices, stock, the last piece, a product that is gone")
    func changes() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            @Sendable func order(_ key: String, _ quantity: Int32) async throws -> Orders.Order {
                try await orders.settled(try #require(try await orders.submitOrder(.sample(key, [("p", quantity)])).order?.id))
            }
            @Sendable func inStock() async throws -> [Int64] {
                try await catalog.listProducts(.init(inStockOnly: true)).products.map(\.stock)
            }
            _ = try await catalog.importProducts(.init(products: [.sample("p", cents: 100, stock: 10)]))
            #expect(try await order("first", 1).total?.units == 1)
            let version = try await catalog.getProduct(.init(id: "p")).product?.version ?? 0
            _ = try await catalog.updateProduct(.init(product: .sample("p", cents: 300), updateFields: ["price"], expectedVersion: version))
            #expect(try await order("repriced", 1).total?.units == 3)
            _ = try await catalog.adjustStock(.init(id: "p", delta: -6, requestId: "broken"))
            let short = try await order("short", 3)
            #expect(short.state == .rejected && short.rejectReason == .outOfStock)
            #expect(try await inStock() == [2])
            #expect(try await order("last", 2).state == .fulfilled)
            #expect(try await inStock() == [])
            _ = try await catalog.adjustStock(.init(id: "p", delta: 2, requestId: "delivered"))
            #expect(try await order("again", 1).state == .fulfilled)
            #expect(try await inStock() == [1])
            _ = try await catalog.deleteProduct(.init(id: "p"))
            #expect(try await order("gone", 1).rejectReason == .unknownProduct)
        }
    }
}
