import MongoDB
import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("Listing", .serialized)
struct ListingTests {
    @Test("random catalogues are listed as the model says, by every shape, by number and by token, with exact totals or none", arguments: Seeds.fresh(2, long: 20))
    func model(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let model = ListModel.random(500, categories: 30, using: &random)
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            try await catalog.importAll(model.products)
            for var request in ListModel.requests(using: &random) {
                let expected = model.list(request).map(\.id)
                request.pageSize = Int32.random(in: 1...60, using: &random)
                request.totalMode = [.unspecified, .exact, .none].randomElement(using: &random) ?? .none
                #expect(try await walk(request, expected.count, catalog) == expected, "\(request)")
                #expect(try await pages(request, expected.count, catalog) == expected, "\(request)")
            }
        }
    }

    private func walk(_ first: Catalog.ListProductsRequest, _ total: Int, _ catalog: Catalog.CatalogService.Client) async throws -> [String] {
        var request = first
        var ids: [String] = []
        for _ in 0...total {
            let page = try await catalog.listProducts(request)
            check(page, request, total)
            ids += page.products.map(\.id)
            if page.nextPageToken.isEmpty { return ids }
            // Nothing changes here, so there is no page without products.
            #expect(page.products.count == Int(request.pageSize))
            request.pageToken = page.nextPageToken
        }
        Issue.record("the walk does not end")
        return ids
    }

    /// From the last page to the first, so that ranks are learned from behind.
    private func pages(_ first: Catalog.ListProductsRequest, _ total: Int, _ catalog: Catalog.CatalogService.Client) async throws -> [String] {
        var request = first
        var ids: [String] = []
        let count = Int32(PageCount.of(Int64(total), size: Int64(request.pageSize)))
        for number in (1...(count + 2)).reversed() {
            request.page = number
            let page = try await catalog.listProducts(request)
            check(page, request, total)
            ids = page.products.map(\.id) + ids
            #expect(page.nextPageToken.isEmpty == (number >= count), "page \(number) of \(count): \(request)")
        }
        return ids
    }

    private func check(_ page: Catalog.ListProductsResponse, _ request: Catalog.ListProductsRequest, _ total: Int) {
        let isFree = !request.inStockOnly && request.namePrefix.isEmpty && request.minPrice == nil && request.maxPrice == nil
        let isExact = request.totalMode == .exact || request.totalMode == .unspecified && (isFree || total == 0 && page.totalMode == .exact)
        #expect(page.totalMode == (isExact ? .exact : .none), "\(request)")
        #expect(page.totalSize == (isExact ? Int64(total) : 0), "\(request)")
        #expect(page.pageCount == (isExact ? PageCount.of(Int64(total), size: Int64(request.pageSize)) : 0))
    }

    @Test("a full page is not taken for the last one by a total that is older than its rows", arguments: ["name", "name desc", "price"])
    func totalOlderThanRows(orderBy: String) async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            let categories = CategoryStore(database: shop.database)
            let snapshots = CatalogSnapshots(categories: categories)
            let listing = ProductListing(products: ProductStore(database: shop.database), categories: categories)
            let tokens = TokenSeal(key: Array(repeating: 1, count: TokenSeal.keyLength))
            let early = MonotonicTime.now
            /// Of a catalogue that may be as old as that moment.
            func page(_ number: Int32, _ token: String) throws -> (next: String, total: Int64?) {
                let request = try PageRequest(.init(orderBy: orderBy, pageSize: 5, page: number, pageToken: token), tokens: tokens)
                return try shop.inDatabase { client throws(MongoError) in
                    let snapshot = try snapshots.reading(since: early, client, before: .after(.seconds(5))).snapshot
                    let page = try listing.pages([request], snapshot, client, before: .after(.seconds(5)))[0]
                    return (page?.next.map { tokens.seal($0, in: request.list) } ?? "", page?.total ?? nil)
                }
            }
            try await catalog.importAll((0..<10).map { .sample("b\($0)", cents: 5) })
            let token = try page(1, "").next
            #expect(try page(0, token).next == "" && page(2, "").next == "")
            // At both ends, so that one is among those that the second page shows by either order.
            try await catalog.importAll([.sample("b7-and-a-half", cents: 5), .sample("b2-and-a-half", cents: 5)])
            let second = try page(0, token)
            #expect(second.total == 10 && second.next != "")
        }
    }

    @Test("a list by ids keeps their order, names those that are missing, and takes 1 to 1,000 of them")
    func batchGet() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            try await catalog.importAll((0..<1000).map { .sample("p\($0)") })
            let mixed = try await catalog.batchGetProducts(.init(ids: ["p7", "nope", "p3", "p7", "P3", "nope", "p1"]))
            #expect(mixed.products.map(\.id) == ["p7", "p3", "p1"])
            #expect(mixed.missingIds == ["nope", "P3"])
            #expect(mixed.products.map(\.version).allSatisfy { $0 > 1_600_000_000_000_000 })
            let all = (0..<1000).reversed().map { "p\($0)" }
            let whole = try await catalog.batchGetProducts(.init(ids: all))
            #expect(whole.products.map(\.id) == all && whole.missingIds.isEmpty)
            for (ids, fields) in [
                ([], ["ids"]), (all + ["p1"], ["ids"]), (["p1", "", "a b", "é"], ["ids[1]", "ids[2]", "ids[3]"]),
                ([String(repeating: "x", count: 65)], ["ids[0]"]),
            ] as [([String], [String])] {
                let error = await failure { () throws(RPCError) in try await catalog.batchGetProducts(.init(ids: ids)) }
                #expect(error?.code == .invalidArgument && error?.fieldViolations.map(\.field) == fields, "\(ids.count) ids")
            }
        }
    }

    @Test("a product's version grows with each import of it")
    func versions() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            var last: Int64 = 0
            for index in 0..<20 {
                _ = try await catalog.importProducts(.init(products: [.sample("a", cents: Int64(index))]))
                let version = try await catalog.getProduct(.init(id: "a")).product?.version ?? 0
                #expect(version > last)
                last = version
            }
        }
    }

    @Test("what is sold out leaves the list of what is in stock, and what arrives again comes back")
    func inStock() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            try await catalog.importAll([.sample("a", stock: 3), .sample("b", stock: 1), .sample("c", stock: 0), .sample("d", stock: 3)])
            func listed() async throws -> [String] { try await catalog.listProducts(.init(inStockOnly: true)).products.map(\.id) }
            #expect(try await listed() == ["a", "b", "d"])
            // In one settlement or several: one loses some, one its only one, one its last in two orders.
            let ids = [
                try await orders.submitOrder(.sample("1", [("a", 2), ("d", 2)])), try await orders.submitOrder(.sample("2", [("b", 1)])),
                try await orders.submitOrder(.sample("3", [("a", 1)])),
            ].map { $0.order?.id ?? "" }
            for id in ids { #expect(try await orders.settled(id).state == .fulfilled) }
            #expect(try await listed() == ["d"])
            try await catalog.importAll([.sample("b", stock: 1)])
            #expect(try await listed() == ["b", "d"])
        }
    }
}
