import MongoDB
import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("Pages read together", .serialized)
struct PagesTogetherTests {
    /// A page as it can be compared.
    private struct Seen: Equatable {
        var ids: [String]
        var total: Int64?
        var next: PagePosition?
    }

    private struct Reader {
        let shop: RunningShop
        let listing: ProductListing
        let snapshots: CatalogSnapshots

        init(_ shop: RunningShop) {
            self.shop = shop
            let categories = CategoryStore(database: shop.database)
            listing = ProductListing(products: ProductStore(database: shop.database), categories: categories)
            snapshots = CatalogSnapshots(categories: categories)
        }

        func read(_ requests: [PageRequest]) throws -> [Seen] {
            try shop.inDatabase { client throws(MongoError) in
                let snapshot = try snapshots.reading(since: .now, client, before: .after(.seconds(5))).snapshot
                var seen: [Seen] = []
                for page in try listing.pages(requests, snapshot, client, before: .after(.seconds(5))) {
                    var ids: [String] = []
                    if let rows = page?.products { for index in 0..<rows.count { ids.append(try rows[index].string("_id")) } }
                    seen.append(Seen(ids: ids, total: page?.total ?? nil, next: page?.next ?? nil))
                }
                return seen
            }
        }
    }

    /// Of the crowd's pages.
    private static let largestPage: Int64 = 30
    private let tokens = TokenSeal(key: Array(repeating: 1, count: TokenSeal.keyLength))

    @Test("are those that are read alone and those of the model, and examine no more", arguments: Seeds.fresh(2, long: 20))
    func likeAlone(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let model = ListModel.random(500, categories: 30, using: &random)
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            try await catalog.importAll(model.products)
            let reader = Reader(shop)
            for order in ["name", "price", "name", "price", "name", "price"] {
                var requests: [PageRequest] = []
                var expected: [[String]?] = []
                let count = Int.random(in: 2...Limits.maxPagesTogether, using: &random)
                while requests.count < count {
                    guard var message = ListModel.requests(using: &random).shuffled(using: &random).first(where: { $0.orderBy.hasPrefix(order) })
                    else { continue }
                    message.pageSize = Int32.random(in: 1...25, using: &random)
                    message.page = Int32.random(in: 1...20, using: &random)
                    var request = try PageRequest(message, tokens: tokens)
                    guard request.isReadTogether else { continue }
                    let list = model.list(message).map(\.id)
                    if Bool.random(using: &random), let next = try reader.read([request])[0].next {
                        request.start = .after(next)
                        message.page += 1
                    }
                    requests.append(request)
                    expected.append(Array(list.dropFirst(Int(message.page - 1) * Int(message.pageSize)).prefix(Int(message.pageSize))))
                }
                let alone = try requests.map { try reader.read([$0])[0] }
                let (together, costs) = try await shop.costs(in: CollectionName.products) { try reader.read(requests) }
                #expect(together == alone, "\(requests)")
                #expect(together.map(\.ids) == expected, "\(requests)")
                let rows = Int64(together.reduce(0) { $0 + $1.ids.count })
                let most = Int64(requests.count) * (Limits.maxUnlearnedSkip + 2)
                #expect(costs.areServedByIndex && costs.documents == rows && costs.keys <= rows + most, "\(costs)")
            }
        }
    }

    @Test("are refused without their index, as one is")
    func withoutIndex() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            try await catalog.importAll((0..<50).map { .sample("p\($0)") })
            let reader = Reader(shop)
            let requests = try (1...4).map { try PageRequest(.init(page: $0), tokens: tokens) }
            #expect(try reader.read(requests).map(\.ids.count) == [10, 10, 10, 10])
            _ = try shop.inDatabase { client throws(MongoError) in
                try client.collection(CollectionName.products, in: shop.database).dropIndex("by_name")
            }
            #expect(throws: MongoError.self) { try reader.read(requests) }
            #expect(throws: MongoError.self) { try reader.read([requests[0]]) }
        }
    }

    /// Keeps the worker of a shop that has one busy for half a second, so that all who come meanwhile wait together.
    private func holdWorker(of shop: RunningShop, _ catalog: Catalog.CatalogService.Client) async throws {
        // The shop's own threads look into other collections, and must not be held instead.
        try shop.fail(["find"], times: 1) { data in
            data.append("namespace", "\(shop.database).\(CollectionName.products)")
            data.append("blockConnection", true)
            data.append("blockTimeMS", 500)
        }
        _ = await failure { () throws(RPCError) in try await catalog.getProduct(.init(id: "nothing")) }
        try shop.heal()
    }

    @Test("a crowd with different requests gets what each of them asks for, from commands that read several", arguments: Seeds.fresh(2, long: 20))
    func crowd(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let model = ListModel.random(500, categories: 30, using: &random)
        // All kinds, and among them many that can be read together.
        let kinds = (0..<5).flatMap { _ in ListModel.requests(using: &random) } + (0..<100).map { _ in
            Catalog.ListProductsRequest(orderBy: Bool.random(using: &random) ? "name" : "price desc")
        }
        let requests = kinds.shuffled(using: &random).map { request in
            var request = request
            request.pageSize = Int32.random(in: 1...Int32(Self.largestPage), using: &random)
            request.page = Int32.random(in: 1...5, using: &random)
            return request
        }
        let shop = try RunningShop(on: FaultyMongo.shared, workers: 1)
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            try await catalog.importAll(model.products)
            let (_, costs) = try await shop.costs(in: CollectionName.products) {
                try await withThrowingTaskGroup(of: Void.self) { crowd in
                    crowd.addTask { try await holdWorker(of: shop, catalog) }
                    try await Task.sleep(for: .milliseconds(100))
                    for request in requests {
                        crowd.addTask {
                            let ids = try await catalog.listProducts(request).products.map(\.id)
                            let first = Int(request.page - 1) * Int(request.pageSize)
                            #expect(ids == model.list(request).dropFirst(first).prefix(Int(request.pageSize)).map(\.id), "\(request)")
                        }
                    }
                    try await crowd.waitForAll()
                }
            }
            #expect(costs.contains { $0.documents > Self.largestPage }, "no command read more than a page")
        }
    }

    @Test("a product that cannot be read fails its own page, and none of those that are read with it")
    func oneMalformed() async throws {
        let shop = try RunningShop(on: FaultyMongo.shared, workers: 1)
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            try await catalog.importAll((10..<60).map { .sample("p\($0)") })
            _ = try shop.inDatabase { client throws(MongoError) in
                try client.collection(CollectionName.products, in: shop.database).updateOne(
                    Document { $0.append("_id", "p33") }, Update { update in update.document("$unset") { $0.append("name", "") } },
                    timeLimit: .seconds(5))
            }
            let pages = Array(1...10)
            let failed: [Int] = try await withThrowingTaskGroup(of: Int?.self) { crowd in
                crowd.addTask {
                    try await holdWorker(of: shop, catalog)
                    return nil
                }
                try await Task.sleep(for: .milliseconds(100))
                for page in pages {
                    crowd.addTask {
                        let error = await failure { () throws(RPCError) in
                            let ids = try await catalog.listProducts(.init(pageSize: 5, page: Int32(page))).products.map(\.id)
                            #expect(ids == (0..<5).map { "p\(10 + (page - 1) * 5 + $0)" })
                        }
                        if let error { #expect(error.code == .internalError, "\(error)") }
                        return error == nil ? nil : page
                    }
                }
                return try await crowd.reduce(into: [Int]()) { if let page = $1 { $0.append(page) } }
            }
            #expect(failed == [5])
        }
    }
}
