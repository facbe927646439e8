import MongoDB
import ProtoShop
import RPC
import Synchronization
import TestSupport
import Testing

@testable import Shop

/// Walks through all pages by token while another client changes the catalogue: whoever was there all the time is seen once.
@Suite("Walks", .serialized)
struct WalkTests {
    private static let requests: [Catalog.ListProductsRequest] = [
        .init(), .init(orderBy: "name desc"), .init(category: "metal", orderBy: "price"), .init(orderBy: "price desc", inStockOnly: true),
        .init(category: "metal", orderBy: "name desc", inStockOnly: true), .init(namePrefix: "te"),
        .init(orderBy: "price desc", maxPrice: .init(currencyCode: "USD", units: 1)),
    ]

    @Test("no product that stayed is missed or seen twice, whatever others do meanwhile", arguments: Seeds.fresh(2, long: 20))
    func walks(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        var model = ListModel.random(400, categories: 12, using: &random)
        // What stays is never touched; the others come and go, between them and at both ends.
        let touched = Set(model.products.map(\.id).shuffled(using: &random).prefix(200))
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            try await catalog.importAll(model.products)
            model.products.removeAll { touched.contains($0.id) }
            let walks = Walks()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    var random = SeededGenerator(seed: seed &+ 1)
                    for _ in 0..<100_000 where !walks.areOver.load(ordering: .relaxed) {
                        try await change(Array(touched), shop, using: &random)
                    }
                }
                defer { walks.areOver.store(true, ordering: .relaxed) }
                for var request in Self.requests {
                    request.pageSize = Int32.random(in: 1...20, using: &random)
                    let ids = try await walk(request, catalog)
                    let expected = model.list(request).map(\.id)
                    #expect(ids.filter { !touched.contains($0) } == expected, "\(request)")
                }
            }
        }
    }

    private final class Walks: Sendable {
        let areOver = Atomic<Bool>(false)
    }

    private func walk(_ first: Catalog.ListProductsRequest, _ catalog: Catalog.CatalogService.Client) async throws -> [String] {
        var request = first
        var ids: [String] = []
        for _ in 0..<100_000 {
            let page = try await catalog.listProducts(request)
            ids += page.products.map(\.id)
            if page.nextPageToken.isEmpty { return ids }
            request.pageToken = page.nextPageToken
        }
        Issue.record("the walk does not end")
        return ids
    }

    /// Inserts, renames, reprices, moves, empties or deletes a few of the products that come and go.
    private func change(_ ids: [String], _ shop: RunningShop, using random: inout SeededGenerator) async throws {
        let some = (0..<Int.random(in: 1...5, using: &random)).compactMap { _ in ids.randomElement(using: &random) }
        if Int.random(in: 0..<3, using: &random) == 0 {
            try shop.delete(some)
        } else {
            let anew = ListModel.random(some.count, categories: 12, using: &random).products
            let products = zip(anew, some).map { product, id in
                var product = product
                product.id = id
                return product
            }
            _ = try await shop.withClient("changer") { catalog, _ in try await catalog.importProducts(.init(products: products)) }
        }
    }
}

extension RunningShop {
    /// Deletes products, as the shop does.
    func delete(_ ids: [String]) throws {
        try inDatabase { client throws(MongoError) in
            let session = try client.startSession()
            let deadline = Deadline.after(.seconds(5))
            try Transactions.run(on: session, before: deadline) { session throws(MongoError) in
                let products = session.collection(CollectionName.products, in: database)
                let filter = Document { filter in filter.document("_id") { $0.append("$in", ids) } }
                var changes: [String: Int64] = [:]
                var cursor = try products.find(filter)
                while let row = try cursor.next() { changes[try row.string("category_key"), default: 0] -= 1 }
                try CategoryStore(database: database).change(by: changes, session, before: deadline)
                try products.deleteMany(filter, timeLimit: deadline.remaining)
            }
        }
    }
}
