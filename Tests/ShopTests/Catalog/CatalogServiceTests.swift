import ChinookData
import FoundationEssentials
import Glibc
import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

// One after the other, as in all suites here that open shops: each has threads and connections enough to slow down all others.
@Suite("Catalogue", .serialized)
struct CatalogServiceTests {
    @Test("Chinook: known counts, pages by number and by token, and tokens that outlive the server")
    func chinook() async throws {
        let chinook = try Chinook(fixture: chinookFixture(), stock: 1000)
        #expect(chinook.products.count == 3503)
        #expect(Set(chinook.products.map(\.category)).count == 25)
        let shop = try RunningShop()
        defer { shop.stop() }
        let second = try RunningShop(database: shop.database)
        defer { second.stop() }
        try await shop.withClient { catalog, _ in
            try await importAll(chinook.products, catalog)
            for (filter, count) in [("rock", 1309), ("ROCK", 1309), ("Róck", 1309), ("metal", 402), ("alternative", 372), (".*", 0), ("", 3503)] {
                #expect(try await catalog.listProducts(.init(category: filter)).totalSize == count, "\(filter)")
            }
            for (size, pages) in [(10, 131), (50, 27), (1000, 2)] {
                #expect(try await catalog.listProducts(.init(category: "rock", pageSize: Int32(size))).pageCount == pages)
            }
            for orderBy in ["name", "name desc", "price", "price desc"] {
                for (category, size, count) in [("rock", 50, 1309), ("", 997, 3503), ("metal", 7, 402)] as [(String, Int32, Int)] {
                    let request = Catalog.ListProductsRequest(category: category, orderBy: orderBy, pageSize: size)
                    let byNumber = try await walkByNumber(request, catalog)
                    #expect(byNumber.count == count)
                    #expect(Set(byNumber.map(\.id)).count == count)
                    #expect(isSorted(byNumber, orderBy), "\(orderBy)")
                    // The second server opens the first one's tokens: the key is in the database.
                    let byToken = try await second.withClient { other, _ in try await walkByToken(request, catalog, other) }
                    #expect(byToken.map(\.id) == byNumber.map(\.id), "\(orderBy) of \(category)")
                }
            }
        }
    }

    private func importAll(_ products: [Catalog.Product], _ catalog: Catalog.CatalogService.Client) async throws {
        for start in stride(from: 0, to: products.count, by: 1000) {
            let batch = Array(products[start..<min(start + 1000, products.count)])
            let response = try await catalog.importProducts(.init(products: batch))
            #expect(response.insertedCount == Int32(batch.count))
            #expect(response.failures.isEmpty)
        }
    }

    private func walkByNumber(
        _ request: Catalog.ListProductsRequest, _ catalog: Catalog.CatalogService.Client
    ) async throws -> [Catalog.Product] {
        var request = request
        var products: [Catalog.Product] = []
        request.page = 1
        while true {
            let page = try await catalog.listProducts(request)
            products += page.products
            if Int64(request.page) >= page.pageCount { return products }
            request.page += 1
        }
    }

    /// Asks two servers in turn.
    private func walkByToken(
        _ request: Catalog.ListProductsRequest, _ first: Catalog.CatalogService.Client, _ second: Catalog.CatalogService.Client
    ) async throws -> [Catalog.Product] {
        var request = request
        var products: [Catalog.Product] = []
        var servers = [first, second]
        while true {
            let page = try await servers[0].listProducts(request)
            products += page.products
            if page.nextPageToken.isEmpty { return products }
            request.pageToken = page.nextPageToken
            servers.swapAt(0, 1)
        }
    }

    private func isSorted(_ products: [Catalog.Product], _ orderBy: String) -> Bool {
        let keys = products.map { product in
            let price = MinorAmount(currency: product.price?.currencyCode ?? "", minor: product.price?.minor ?? 0)
            let key = orderBy.hasPrefix("name") ? ProductKeys.nameKey(name: product.name, id: product.id) : ProductKeys.priceKey(price, id: product.id)
            return Array(key.utf8)
        }
        return zip(keys, keys.dropFirst()).allSatisfy { left, right in
            let (first, second) = orderBy.hasSuffix("desc") ? (right, left) : (left, right)
            return first.lexicographicallyPrecedes(second)
        }
    }

    @Test("an import stores the good rows, and reports every field of the bad ones")
    func importReportsBadRows() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            var bad = Catalog.Product.sample("has space", category: "", cents: 1, stock: -1)
            bad.price?.currencyCode = "usd"
            let response = try await catalog.importProducts(
                .init(products: [.sample("a"), bad, .sample("b"), .sample("a", name: "Later"), .sample("")]))
            #expect(response.insertedCount == 2)
            #expect(response.replacedCount == 1)
            #expect(response.failures.map(\.index) == [1, 1, 1, 1, 4])
            #expect(response.failures.map(\.field) == ["id", "category", "price.currency_code", "stock", "id"])
            #expect(try await catalog.getProduct(.init(id: "a")).product?.name == "Later")
        }
    }

    @Test("a product keeps every field, and is found by id only where it exists")
    func getProduct() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            var product = Catalog.Product.sample("p-1", name: "Ünïcode ☃", category: "Böse", cents: 1299, stock: 7)
            product.description = "long\nlines"
            _ = try await catalog.importProducts(.init(products: [product]))
            var stored = try await catalog.getProduct(.init(id: "p-1")).product
            #expect((stored?.updateTime?.seconds ?? 0) > 1_600_000_000)
            #expect((stored?.version ?? 0) > 1_600_000_000_000_000)
            stored?.updateTime = nil
            stored?.version = 0
            #expect(stored == product)
            for (id, reason) in [("P-1", "PRODUCT_NOT_FOUND"), ("", "INVALID_FIELD"), ("a b", "INVALID_FIELD")] {
                let error = await failure { () throws(RPCError) in try await catalog.getProduct(.init(id: id)) }
                #expect(error?.reason == reason)
            }
        }
    }

    @Test("counts of categories are exact after changes of category, and empty ones are gone")
    func categoryCounts() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            _ = try await catalog.importProducts(.init(products: (0..<10).map { .sample("p\($0)", category: "Rock") }))
            _ = try await catalog.importProducts(.init(products: (0..<4).map { .sample("p\($0)", category: "ROCK & Pop") }))
            #expect(try await catalog.listProducts(.init(category: "rock")).totalSize == 10)
            #expect(try await catalog.listProducts(.init(category: "pop")).totalSize == 4)
            _ = try await catalog.importProducts(.init(products: (0..<4).map { .sample("p\($0)", category: "rock") }))
            #expect(try await catalog.listProducts(.init(category: "pop")).totalSize == 0)
            #expect(try shop.count(CollectionName.categories) == 1)
        }
    }

    @Test("two servers that import into the same categories at once count right")
    func concurrentImports() async throws {
        let shops = [try RunningShop()]
        let second = try RunningShop(database: shops[0].database)
        defer { for shop in shops + [second] { shop.stop() } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, shop) in [shops[0], second].enumerated() {
                group.addTask {
                    try await shop.withClient("importer-\(index)") { catalog, _ in
                        for batch in 0..<5 {
                            let products = (0..<50).map { Catalog.Product.sample("p\(index)-\(batch)-\($0)", category: "C\($0 % 5)") }
                            _ = try await catalog.importProducts(.init(products: products))
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        try await second.withClient { catalog, _ in
            let (all, some) = (try await catalog.listProducts(.init()), try await catalog.listProducts(.init(category: "c3")))
            #expect(all.totalSize == 500)
            #expect(some.totalSize == 100)
        }
    }

    @Test("what looks like an operator, a field or a pattern is plain text", arguments: ["$name", "{\"$gt\":\"\"}", "(a+)+$", "^", "%00", "../"])
    func plainText(filter: String) async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            _ = try await catalog.importProducts(.init(products: [.sample("a"), .sample("b", category: "x\(filter)y")]))
            #expect(try await catalog.listProducts(.init(category: filter)).products.map(\.id) == ["b"])
        }
    }

    @Test("a filter that matches too many categories is refused, and one more letter helps")
    func tooManyCategories() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            _ = try await catalog.importProducts(.init(products: (0..<201).map { .sample("p\($0)", category: "Category \($0)") }))
            let error = await failure { () throws(RPCError) in try await catalog.listProducts(.init(category: "category")) }
            #expect(error?.fieldViolations.map(\.field) == ["category"])
            #expect(try await catalog.listProducts(.init(category: "category 1", pageSize: 1000)).products.count == 111)
        }
    }

    @Test("a product that is on two sides of a page boundary by case of its id is not lost")
    func idsThatDifferInCase() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            let ids = ["a", "A", "b", "B", "aa", "aA", "Aa", "AA"]
            _ = try await catalog.importProducts(.init(products: ids.map { .sample($0, name: "Same", cents: 5) }))
            for orderBy in ["name", "name desc", "price", "price desc"] {
                let request = Catalog.ListProductsRequest(orderBy: orderBy, pageSize: 1)
                #expect(try await Set(walkByToken(request, catalog, catalog).map(\.id)) == Set(ids))
                #expect(try await Set(walkByNumber(request, catalog).map(\.id)) == Set(ids))
            }
        }
    }
}
