import MongoDB
import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

/// Asks MongoDB's own profiler what each page took.
@Suite("What pages cost", .serialized)
struct QueryCostTests {
    /// 2,000 products; about 160 of 200 categories contain "metal".
    private func withCatalogue(
        _ seed: UInt64, _ body: (RunningShop, Catalog.CatalogService.Client, ListModel, inout SeededGenerator) async throws -> Void
    ) async throws {
        var random = SeededGenerator(seed: seed)
        let model = ListModel.random(2000, categories: Int.random(in: 1...200, using: &random), using: &random)
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            try await catalog.importAll(model.products)
            try await body(shop, catalog, model, &random)
        }
    }

    @Test("by token, no page of any shape examines more than it shows and two keys a category, and none is sorted in memory", arguments: Seeds.fresh(1, long: 10))
    func byToken(seed: UInt64) async throws {
        try await withCatalogue(seed) { shop, catalog, model, random in
            for var request in ListModel.requests(using: &random) {
                request.pageSize = [1, 10, 50].randomElement(using: &random) ?? 10
                let categories = Int64(model.matchingCategories(request))
                // At the start, after it, and deep inside.
                for depth in [0, 1, 7] {
                    var token = ""
                    for _ in 0..<depth {
                        request.pageToken = token
                        token = try await catalog.listProducts(request).nextPageToken
                        if token.isEmpty { break }
                    }
                    if depth > 0, token.isEmpty { continue }
                    request.pageToken = token
                    let (response, queries) = try await costs(of: shop) { try await catalog.listProducts(request) }
                    let rows = Int64(response.products.count)
                    #expect(queries.areServedByIndex, "\(request): \(queries)")
                    #expect(queries.documents <= rows, "\(request): \(queries)")
                    // Where no total tells whether more follows, one more key is looked at.
                    #expect(queries.keys <= rows + 2 * max(categories, 1), "\(request): \(queries)")
                    #expect(queries.count <= 2)
                    #expect((queries.first?.keys ?? 0) <= rows + 2 * categories, "\(request): \(queries)")
                }
            }
        }
    }

    @Test("by number, a page skips on the index alone, and reads no document but those it shows", arguments: Seeds.fresh(1, long: 10))
    func byNumber(seed: UInt64) async throws {
        try await withCatalogue(seed) { shop, catalog, model, random in
            for var request in ListModel.requests(using: &random) {
                request.pageSize = [1, 10, 50].randomElement(using: &random) ?? 10
                let total = Int32(model.list(request).count)
                let pages = (total + request.pageSize - 1) / request.pageSize
                for page in Set([1, pages / 2, pages - 1, pages]).sorted().shuffled(using: &random) where page > 0 {
                    request.page = page
                    let (response, queries) = try await costs(of: shop) { try await catalog.listProducts(request) }
                    let rows = Int64(response.products.count)
                    #expect(queries.areServedByIndex, "\(request): \(queries)")
                    #expect(queries.documents == rows, "\(request): \(queries)")
                    let isCounted = response.totalMode == .exact
                    // From the end where that costs less: what is read against the index counts more. An empty list has a first page
                    // and no last one.
                    let fromStart = Int64(page - 1) * Int64(request.pageSize)
                    let fromEnd = max(0, Int64(total) - Int64(page) * Int64(request.pageSize))
                    let isDescending = request.orderBy.hasSuffix("desc")
                    let isNearerToEnd =
                        fromEnd * (isDescending ? 1 : PageStretch.reverseCost) < fromStart * (isDescending ? PageStretch.reverseCost : 1)
                    let skipped = isCounted && isNearerToEnd ? fromEnd : fromStart
                    let categories = Int64(model.matchingCategories(request))
                    // Where the way is long enough to be remembered it is gone before, and the merge of the categories begins twice.
                    let merges = 2 * max(categories, 1) * Int64(queries.count)
                    #expect(queries.count <= 3 && queries.keys <= rows + skipped + merges, "\(request) of \(total), \(skipped) before it: \(queries)")
                }
            }
        }
    }

    @Test("a page in the middle that was asked for before, or lies near to one, skips little")
    func nearKnownRanks() async throws {
        try await withCatalogue(7) { shop, catalog, _, _ in
            let request = Catalog.ListProductsRequest(orderBy: "price desc", pageSize: 10, page: 100)
            let (first, before) = try await costs(of: shop) { try await catalog.listProducts(request) }
            #expect(before.keys >= 990)
            let (again, after) = try await costs(of: shop) { try await catalog.listProducts(request) }
            #expect(again == first)
            #expect(after.keys <= 20)
            // A change of the catalogue moves what is known along; many at once make all of it void. One of stock does nothing.
            _ = try await catalog.importProducts(.init(products: [.sample("another", cents: .max / 200)]))
            let (moved, changed) = try await costs(of: shop) { try await catalog.listProducts(request) }
            #expect(changed.keys <= 20 && moved.products.dropFirst() == first.products.dropLast())
            _ = try await catalog.importProducts(.init(products: (0...Limits.maxToldMoves).map { .sample("many-\($0)") }))
            let (_, forgotten) = try await costs(of: shop) { try await catalog.listProducts(request) }
            #expect(forgotten.keys >= 900)
        }
    }

    @Test("totals are counted on the index alone")
    func totals() async throws {
        try await withCatalogue(8) { shop, catalog, model, _ in
            for request in [
                .init(inStockOnly: true, totalMode: .exact), .init(category: "metal", inStockOnly: true, totalMode: .exact),
                .init(namePrefix: "t", totalMode: .exact), .init(category: "metal", namePrefix: "t", totalMode: .exact),
            ] as [Catalog.ListProductsRequest] {
                let (response, queries) = try await costs(of: shop) { try await catalog.listProducts(request) }
                #expect(response.totalSize == Int64(model.list(request).count))
                #expect(queries.areServedByIndex)
                #expect(queries.documents == Int64(response.products.count), "\(request): \(queries)")
            }
        }
    }

    @Test("products by their ids are looked up by them")
    func byIDs() async throws {
        try await withCatalogue(9) { shop, catalog, model, _ in
            let ids = model.products.prefix(1000).map(\.id)
            let (response, queries) = try await costs(of: shop) { try await catalog.batchGetProducts(.init(ids: ids)) }
            #expect(response.products.count == 1000)
            #expect(queries.count == 1 && queries.documents == 1000 && queries.keys <= 2001 && queries.areServedByIndex)
        }
    }

    private func costs<Response>(of shop: RunningShop, _ query: () async throws -> Response) async throws -> (Response, [QueryCost]) {
        try await shop.costs(in: CollectionName.products, query)
    }
}
