import MongoDB
import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("Catalogue snapshots", .serialized)
struct CatalogSnapshotTests {
    @Test("categories are found by any part of their keys, never across two of them", arguments: Seeds.fresh(200))
    func matching(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let letters = ["a", "b", "ab", " ", "ß", "é", "☃"]
        func text(_ longest: Int) -> String { (0..<Int.random(in: 0...longest, using: &random)).map { _ in letters.randomElement(using: &random) ?? "" }.joined() }
        let keys = Set((0..<30).map { _ in text(5) }).sorted()
        let categories = keys.map { ($0, Int64.random(in: 1...9, using: &random), CatalogStamp.random()) }
        let snapshot = CatalogSnapshot(stamp: .random(), categories: categories)
        #expect(snapshot.productCount == categories.reduce(0) { $0 + $1.1 })
        for _ in 0..<50 {
            let part = text(3)
            guard !part.isEmpty else { continue }
            let expected = categories.filter { category in
                let (key, part) = (Array(category.0.utf8), Array(part.utf8))
                return key.count >= part.count && (0...(key.count - part.count)).contains { Array(key[$0..<($0 + part.count)]) == part }
            }
            let stamp = expected.reduce(CatalogStamp.none) { $0.adding($1.2) }
            #expect(snapshot.matching(part) == .init(keys: expected.map(\.0), productCount: expected.reduce(0) { $0 + $1.1 }, stamp: stamp))
        }
        #expect(CatalogSnapshot(stamp: .none, categories: []).matching("a") == .init())
    }

    @Test("one reading serves all calls that arrived before it began, and none that came later")
    func sharing() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            let categories = CategoryStore(database: shop.database)
            let snapshots = CatalogSnapshots(categories: categories)
            func count(since arrival: MonotonicTime) throws -> Int64 {
                try shop.inDatabase { client throws(MongoError) in try snapshots.reading(since: arrival, client, before: .after(.seconds(5))).snapshot.productCount }
            }
            let early = MonotonicTime.now
            #expect(try count(since: early) == 0)
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            // What was read for the first call does for a call that had arrived before the reading began.
            #expect(try count(since: early) == 0)
            #expect(try count(since: .now) == 1)
            #expect(try count(since: early) == 1)
        }
    }

    @Test("pages one after the other take no look at the stamp each while nothing is written")
    func oneCommand() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            try await catalog.importAll([.sample("a")])
            // Others write to the same server now and then.
            var lookedEachTime = true
            for _ in 0..<100 where lookedEachTime {
                let (pages, looks) = try await shop.costs(in: CollectionName.catalog, by: "_id_") {
                    for _ in 1..<20 { _ = try await catalog.listProducts(.init()) }
                    return try await catalog.listProducts(.init())
                }
                #expect(pages.totalSize == 1)
                lookedEachTime = looks.count >= 20
            }
            #expect(!lookedEachTime)
        }
    }

    @Test("a page after a pause looks at the stamp first, and so is read once, though the catalogue has changed")
    func readOnce() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            for number in 1...5 {
                _ = try await catalog.listProducts(.init())
                try await catalog.importAll([.sample("p\(number)")])
                try await Task.sleep(for: Limits.likelyUnchanged)
                let (page, finds) = try await shop.costs(in: CollectionName.products) { try await catalog.listProducts(.init()) }
                #expect(page.totalSize == Int64(number))
                #expect(finds.count == 1)
            }
        }
    }

    @Test("a page that is read before the stamp is looked at shows what was written just before", arguments: ["", "rock"])
    func writtenBefore(category: String) async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            var stock: [Int64] = []
            for number in 0..<20 {
                try await catalog.importAll([.sample("p\(10 + number)", category: "Rock \(number % 3)", stock: 0)])
                stock.append(0)
                for index in [0, number / 2] {
                    let request = Catalog.AdjustStockRequest(id: "p\(10 + index)", delta: 1, requestId: "r\(number)-\(index)")
                    stock[index] = try await catalog.adjustStock(request).stock
                    let page = try await catalog.listProducts(.init(category: category, pageSize: 100))
                    #expect(page.totalSize == stock.count && page.products.count == stock.count)
                    #expect(Set(page.products.map { "\($0.id) \($0.stock)" }) == Set(stock.indices.map { "p\(10 + $0) \(stock[$0])" }))
                }
            }
        }
    }

    @Test("each change of the catalogue replaces the stamp; settled orders do not")
    func stamps() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            func stamp() throws -> CatalogStamp {
                try shop.inDatabase { client throws(MongoError) in try CategoryStore(database: shop.database).stamp(client, before: .after(.seconds(5))).stamp }
            }
            var stamps = [try stamp()]
            for product in [Catalog.Product.sample("a", stock: 5), .sample("a", name: "Other", stock: 5), .sample("a", cents: 7, stock: 5)] {
                _ = try await catalog.importProducts(.init(products: [product]))
                stamps.append(try stamp())
            }
            #expect(Set(stamps).count == 4)
            let order = try await orders.submitOrder(.sample("k", [("a", 1)]))
            #expect(try await orders.settled(order.order?.id ?? "").state == .fulfilled)
            #expect(try stamp() == stamps.last)
        }
    }

    @Test("the stamp of a list of categories changes with each change of their products, and with no other")
    func categoryStamps() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            func stamp() throws -> CatalogStamp {
                try shop.inDatabase { client throws(MongoError) in
                    try CategoryStore(database: shop.database).snapshot(client, before: .after(.seconds(5))).matching("rock").stamp
                }
            }
            func update(_ product: Catalog.Product, _ field: String) async throws {
                let version = try await catalog.getProduct(.init(id: product.id)).product?.version ?? 0
                _ = try await catalog.updateProduct(.init(product: product, updateFields: [field], expectedVersion: version))
            }
            let rock = Catalog.Product.sample("a", category: "Rock")
            _ = try await catalog.importProducts(.init(products: [rock, .sample("b", category: "Hard Rock"), .sample("c", category: "Jazz")]))
            var stamps = [try stamp()]

            try await update(.sample("c", name: "Other", category: "Jazz"), "name")
            _ = try await catalog.importProducts(.init(products: [.sample("c", category: "Blues"), .sample("d", category: "Jazz")]))
            _ = try await catalog.adjustStock(.init(id: "a", delta: 1, requestId: "r"))
            _ = try await catalog.deleteProduct(.init(id: "d"))
            #expect(try stamp() == stamps[0])

            for change in 0..<6 {
                switch change {
                case 0: try await update(.sample("a", name: "Other", category: "Rock"), "name")
                case 1: try await update(.sample("a", category: "Rock", cents: 7), "price")
                case 2: try await update(.sample("a", category: "Jazz"), "category")
                case 3: try await update(.sample("a", category: "Rock"), "category")
                case 4: _ = try await catalog.importProducts(.init(products: [.sample("b", category: "Hard Rock")]))
                default: _ = try await catalog.deleteProduct(.init(id: "a"))
                }
                stamps.append(try stamp())
            }
            #expect(Set(stamps).count == 7)
        }
    }
}
