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

    @Test("a crowd with different requests gets what each of them asks for", arguments: Seeds.fresh(2, long: 20))
    func crowd(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let model = ListModel.random(500, categories: 30, using: &random)
        let requests = (0..<10).flatMap { _ in ListModel.requests(using: &random).map { request in
            var request = request
            request.pageSize = Int32.random(in: 1...30, using: &random)
            request.page = Int32.random(in: 1...5, using: &random)
            return request
        } }
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            try await catalog.importAll(model.products)
            try await withThrowingTaskGroup(of: Void.self) { crowd in
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
    }
}
