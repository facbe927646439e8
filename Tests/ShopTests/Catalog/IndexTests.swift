import FoundationEssentials
import MongoDB
import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("Indexes of products", .serialized)
struct IndexTests {
    private func inProducts(_ shop: RunningShop, _ body: (borrowing Collection) throws(MongoError) -> Void) throws {
        try shop.inDatabase { client throws(MongoError) in try body(client.collection(CollectionName.products, in: shop.database)) }
    }

    private func failureOfList(_ request: Catalog.ListProductsRequest, _ catalog: Catalog.CatalogService.Client) async -> RPCError? {
        await failure { () throws(RPCError) in try await catalog.listProducts(request) }
    }

    @Test("where one is missing, its lists are refused and nothing is scanned; all others work, and the next start creates it")
    func missing() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            for shape in QueryShape.table {
                let request = Catalog.ListProductsRequest(
                    category: shape.hasCategory ? "rock" : "", orderBy: shape.key.rawValue, inStockOnly: shape.inStockOnly, totalMode: .exact)
                try inProducts(shop) { products throws(MongoError) in try products.dropIndex(shape.indexName) }
                let error = await failureOfList(request, catalog)
                #expect(error?.reason == "INDEX_MISSING" && error?.code == .failedPrecondition && error?.disposition == .notExecuted, "\(shape)")
                #expect(try await catalog.getProduct(.init(id: "a")).product != nil)
                try RunningShop(database: shop.database).stop()
                #expect(try await catalog.listProducts(request).products.map(\.id) == ["a"], "\(shape)")
            }
        }
    }

    @Test("one of the same name and another form, as another version left it, is replaced at start")
    func otherForm() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            _ = try await catalog.importProducts(.init(products: [.sample("a"), .sample("b", stock: 0)]))
            let (byPrice, inStock) = (QueryShape(key: .price, hasCategory: false, inStockOnly: false), QueryShape(key: .name, hasCategory: false, inStockOnly: true))
            try inProducts(shop) { products throws(MongoError) in
                try products.dropIndex(byPrice.indexName)
                try products.dropIndex(inStock.indexName)
                let other = Index(byPrice.indexName, keys: Document { $0.append("price.minor", 1); $0.append("_id", 1) })
                // The same keys, but of all products.
                try products.createIndexes([other, Index(inStock.indexName, keys: inStock.index.keys)])
            }
            try RunningShop(database: shop.database).stop()
            #expect(try await catalog.listProducts(.init(orderBy: "price")).products.map(\.id) == ["a", "b"])
            #expect(try await catalog.listProducts(.init(inStockOnly: true)).products.map(\.id) == ["a"])
        }
    }

    @Test("a hidden one keeps the shop from opening, by its name")
    func hidden() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        _ = try shop.inDatabase { client throws(MongoError) in
            try client.runCommand(Document { command in
                command.append("collMod", CollectionName.products)
                command.document("index") { $0.append("name", "by_name"); $0.append("hidden", true) }
            }, in: shop.database)
        }
        let error = #expect(throws: MongoError.self) { try RunningShop(database: shop.database) }
        #expect(error?.message.contains("by_name") == true)
    }

    @Test("the table of shapes is in the documentation as it is in the code")
    func documented() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        let document = try String(contentsOf: root.appending(path: "docs/data-model.md"), encoding: .utf8)
        #expect(document.contains(QueryShape.documentation))
    }
}
