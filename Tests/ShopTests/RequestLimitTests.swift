import ProtoShop
import Protobuf
import RPC
import Testing

@testable import Shop

/// What the shop's methods take: the largest valid request of each fits, and which go first.
@Suite struct RequestLimitTests {
    private static let id = String(repeating: "x", count: Limits.maxIDLength)

    @Test func theLargestOrderFits() throws {
        let lines = (0..<Limits.maxLines).map { _ in Orders.OrderLine(productId: Self.id, quantity: Int32(Limits.maxQuantity)) }
        let request = Orders.SubmitOrderRequest(
            idempotencyKey: Self.id, lines: lines, expectedTotal: MinorAmount(currency: "USD", minor: .max / 100).money, validateOnly: true)
        #expect(try request.serializedBytes().count <= Limits.maxOrderRequest)
    }

    @Test func theLargestUpdateFits() throws {
        let product = Catalog.Product(
            id: Self.id, name: String(repeating: "n", count: Limits.maxNameLength),
            category: String(repeating: "c", count: Limits.maxCategoryLength),
            price: MinorAmount(currency: "USD", minor: .max / 100).money, stock: Limits.maxStock,
            description: String(repeating: "d", count: Limits.maxDescriptionLength))
        let request = Catalog.UpdateProductRequest(
            product: product, updateFields: ["name", "category", "price", "description"], expectedVersion: .max)
        #expect(try request.serializedBytes().count <= Limits.maxProductRequest)
    }

    @Test func theLargestAdjustmentFits() throws {
        let request = Catalog.AdjustStockRequest(id: Self.id, delta: -Limits.maxStock, requestId: Self.id)
        #expect(try request.serializedBytes().count <= Limits.maxSmallRequest)
    }

    @Test func theLargestAcknowledgementFits() throws {
        let request = Orders.AckCompletionsRequest(
            group: Self.id, memberId: Self.id, sequences: Array(repeating: .max, count: Limits.maxAcknowledgements))
        #expect(try request.serializedBytes().count <= Limits.maxAcknowledgementRequest)
    }

    @Test func theLongestPageTokenFits() throws {
        let request = Catalog.ListProductsRequest(
            category: String(repeating: "x", count: Limits.maxCategoryLength), orderBy: "price desc", pageSize: .max,
            pageToken: String(repeating: "x", count: Limits.maxPageTokenLength))
        #expect(try request.serializedBytes().count <= Limits.maxListRequest)
    }

    /// The largest import is what the server's own limit is for.
    @Test func theLargestImportFits() throws {
        let product = Catalog.Product(
            id: Self.id, name: String(repeating: "n", count: Limits.maxNameLength),
            category: String(repeating: "c", count: Limits.maxCategoryLength),
            price: MinorAmount(currency: "USD", minor: .max / 100).money, stock: Limits.maxStock,
            description: String(repeating: "d", count: Limits.maxDescriptionLength))
        let request = Catalog.ImportProductsRequest(products: Array(repeating: product, count: Limits.maxImportBatch))
        #expect(try request.serializedBytes().count <= 8 << 20)
    }

    /// Short reads of one order and acknowledgements, and nothing else.
    @Test func fewMethodsGoFirst() throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        let high = shop.shop.services.flatMap(\.registrations).filter { $0.policy.priority == .high }.map(\.fullName)
        let names = ["AckCompletions", "GetOrder", "WaitOrder"].map { "orderwire.orders.v1.OrderService/\($0)" }
        #expect(high.sorted() == names)
    }
}
