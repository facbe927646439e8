import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

/// A change of the product "p", by whatever method.
enum Change: String, CaseIterable, Sendable {
    case update, adjust, delete

    func make(_ catalog: Catalog.CatalogService.Client, _ product: Catalog.Product, timeout: Duration = .seconds(20)) async throws(RPCError) {
        let options = CallOptions(timeout: timeout)
        switch self {
        case .update:
            _ = try await catalog.updateProduct(
                .init(product: .sample("p", category: "Pop", cents: 7), updateFields: ["price", "category"], expectedVersion: product.version), options: options)
        case .adjust: _ = try await catalog.adjustStock(.init(id: "p", delta: 5, requestId: "r"), options: options)
        case .delete: _ = try await catalog.deleteProduct(.init(id: "p", expectedVersion: product.version), options: options)
        }
    }

    /// Whether a product is as this change makes it.
    func isMade(_ product: Catalog.Product?) -> Bool {
        switch self {
        case .update: product?.category == "Pop"
        case .adjust: product?.stock == 1005
        case .delete: product == nil
        }
    }
}

extension DatabaseFailureTests {
    @Suite("Changes of products")
    struct ChangesTests {
        private func withProduct(
            _ body: (Catalog.CatalogService.Client, Catalog.Product, RunningShop) async throws -> Void
        ) async throws {
            let shop = try RunningShop(on: FaultyMongo.shared)
            defer { shop.stop() }
            try await shop.withClient { catalog, _ in
                _ = try await catalog.importProducts(.init(products: [.sample("p")]))
                let product = try #require(try await catalog.getProduct(.init(id: "p")).product)
                try await body(catalog, product, shop)
            }
        }

        private func stored(_ catalog: Catalog.CatalogService.Client) async throws -> Catalog.Product? {
            do throws(RPCError) {
                return try await catalog.getProduct(.init(id: "p")).product
            } catch {
                guard error.code == .notFound else { throw error }
                return nil
            }
        }

        @Test("a change that collides with others is made in the end", arguments: Change.allCases)
        func conflicts(change: Change) async throws {
            try await withProduct { catalog, product, shop in
                try shop.fail(["update", "delete", "findAndModify", "insert"], times: 3) { data in
                    data.append("errorCode", Int32(112))  // WriteConflict
                    data.append("errorLabels", ["TransientTransactionError"])
                }
                try await change.make(catalog, product)
                #expect(change.isMade(try await stored(catalog)))
                #expect(try await catalog.checkCatalog(.init()).findingCount == 0)
            }
        }

        @Test("a change whose commit is not confirmed in time is MAYBE; asked for again, it is made once", arguments: Change.allCases)
        func unknownCommit(change: Change) async throws {
            try await withProduct { catalog, product, shop in
                try shop.fail(["commitTransaction"], times: 1_000) { data in
                    data.document("writeConcernError") {
                        $0.append("code", Int32(64))
                        $0.append("errmsg", "waiting for replication timed out")
                    }
                }
                let error = await failure { () throws(RPCError) in try await change.make(catalog, product, timeout: .seconds(1)) }
                try shop.heal()
                #expect(["OUTCOME_UNKNOWN", "DEADLINE_EXCEEDED"].contains(error?.reason) && error?.disposition == .maybe)
                // It had been committed. The same again finds that, but for a deletion, which finds nothing.
                let again = await failure { () throws(RPCError) in try await change.make(catalog, product) }
                #expect(again?.reason == (change == .delete ? "PRODUCT_NOT_FOUND" : nil))
                #expect(change.isMade(try await stored(catalog)))
                #expect(try await catalog.checkCatalog(.init()).findingCount == 0)
            }
        }

        @Test("a change that never got to its commit was not made, and says so", arguments: Change.allCases)
        func notExecuted(change: Change) async throws {
            try await withProduct { catalog, product, shop in
                // A statement that ran out of time may have run, but not what it belongs to.
                try shop.fail(["update", "delete", "findAndModify"], times: 1_000) { $0.append("errorCode", Int32(50)) }
                let error = await failure { () throws(RPCError) in try await change.make(catalog, product) }
                try shop.heal()
                #expect(error?.reason == "DATABASE_UNAVAILABLE" && error?.disposition == .notExecuted)
                #expect(!change.isMade(try await stored(catalog)))
            }
        }
    }
}
