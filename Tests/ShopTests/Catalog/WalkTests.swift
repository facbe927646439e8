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
                    try await shop.withClient("changer") { catalog, _ in
                        for _ in 0..<100_000 where !walks.areOver.load(ordering: .relaxed) {
                            try await change(touched.sorted(), catalog, using: &random)
                        }
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

    /// Inserts, renames, reprices, moves, empties, refills or deletes a few of the products that come and go, as other clients do.
    private func change(
        _ ids: [String], _ catalog: Catalog.CatalogService.Client, using random: inout SeededGenerator
    ) async throws {
        let some = (0..<Int.random(in: 1...5, using: &random)).compactMap { _ in ids.randomElement(using: &random) }
        let anew = zip(ListModel.random(some.count, categories: 12, using: &random).products, some).map { product, id in
            var product = product
            product.id = id
            return product
        }
        switch Int.random(in: 0..<4, using: &random) {
        case 0: _ = try await catalog.importProducts(.init(products: anew))
        case 1:
            for id in some { _ = await failure { () throws(RPCError) in try await catalog.deleteProduct(.init(id: id)) } }
        case 2:
            for id in some {
                let request = Catalog.AdjustStockRequest(id: id, delta: Bool.random(using: &random) ? 1 : -1, requestId: OpaqueID.make())
                _ = await failure { () throws(RPCError) in try await catalog.adjustStock(request) }
            }
        default:
            let versions = Dictionary(try await catalog.batchGetProducts(.init(ids: some)).products.map { ($0.id, $0.version) }) { first, _ in first }
            for product in anew {
                guard let version = versions[product.id] else { continue }
                // Named twice, it has another version by now, which is a refusal and does no harm.
                let request = Catalog.UpdateProductRequest(product: product, updateFields: ["name", "category", "price"], expectedVersion: version)
                _ = await failure { () throws(RPCError) in try await catalog.updateProduct(request) }
            }
        }
    }
}
