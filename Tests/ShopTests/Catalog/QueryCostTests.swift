import MongoDB
import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("What pages cost", .serialized)
struct QueryCostTests {
    /// What MongoDB's profiler says about one query.
    private struct Cost {
        var keys: Int64
        var documents: Int64
        var sortsInMemory: Bool
    }

    @Test("a page by token examines what it shows, one key a category more, and never sorts in memory")
    func byToken() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            try await fill(catalog)
            for orderBy in ["name", "name desc", "price", "price desc"] {
                for category in ["", "metal", "group 27"] {
                    var request = Catalog.ListProductsRequest(category: category, orderBy: orderBy, pageSize: 10)
                    request.pageToken = try await catalog.listProducts(request).nextPageToken
                    let cost = try await cost(of: shop) { _ = try await catalog.listProducts(request) }
                    #expect(!cost.sortsInMemory)
                    #expect(cost.documents <= 30, "\(orderBy) of \(category)")
                    // 20 categories contain "metal"; a price ties about 50 products.
                    #expect(cost.keys <= 11 + 21 + 51, "\(orderBy) of \(category)")
                }
            }
        }
    }

    @Test("a page by number skips on the index alone, from the nearer end")
    func byNumber() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            try await fill(catalog)
            for orderBy in ["name", "price desc"] {
                for category in ["", "metal", "group 27"] {
                    let pages = try await catalog.listProducts(.init(category: category, pageSize: 10)).pageCount
                    for page in [1, pages / 2, pages - 1] {
                        let request = Catalog.ListProductsRequest(category: category, orderBy: orderBy, pageSize: 10, page: Int32(page))
                        let cost = try await cost(of: shop) { _ = try await catalog.listProducts(request) }
                        #expect(!cost.sortsInMemory)
                        #expect(cost.documents <= 10, "page \(page) by \(orderBy) of \(category)")
                        #expect(cost.keys <= 10 * min(page, pages - page + 1) + 25, "page \(page) by \(orderBy) of \(category)")
                    }
                }
            }
        }
    }

    /// 2,000 products in 40 categories, half of them some metal, with 40 prices.
    private func fill(_ catalog: Catalog.CatalogService.Client) async throws {
        for batch in 0..<2 {
            let products = (0..<1000).map { index in
                let category = index % 40
                return Catalog.Product.sample(
                    "p\(batch)-\(index)", name: "Name \(index * 7919 % 1000)", category: (category < 20 ? "Metal " : "Group ") + "\(category)",
                    cents: Int64(index / 25))
            }
            _ = try await catalog.importProducts(.init(products: products))
        }
    }

    private func cost(of shop: RunningShop, _ query: () async throws -> Void) async throws -> Cost {
        try profile(shop, level: 2)
        try await query()
        try profile(shop, level: 0)
        let filter = Document { filter in
            filter.append("ns", "\(shop.database).\(CollectionName.products)")
            filter.append("op", "query")
        }
        let last = FindOptions(sort: Document { $0.append("$natural", -1) })
        let cost = try shop.inDatabase { client throws(MongoError) in
            try client.collection("system.profile", in: shop.database).findOne(filter, last) { row throws(MongoError) in
                Cost(
                    keys: try row.int64("keysExamined"), documents: try row.int64("docsExamined"),
                    sortsInMemory: row.find("hasSortStage")?.bool ?? false)
            }
        }
        return try #require(cost)
    }

    private func profile(_ shop: RunningShop, level: Int) throws {
        _ = try shop.inDatabase { client throws(MongoError) in
            try client.runCommand(Document { $0.append("profile", level) }, in: shop.database)
        }
    }
}
