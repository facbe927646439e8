import MongoDB
import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

extension DatabaseFailureTests {
    @Suite("Slow settlements")
    struct SlowSettlementTests {
        @Test("two servers whose settlements take longer than a lease do not take it from each other for ever")
        func slow() async throws {
            let first = try RunningShop(on: FaultyMongo.shared)
            let second = try RunningShop(database: first.database, on: FaultyMongo.shared)
            defer { for shop in [first, second] { shop.stop() } }
            try await first.withClient { catalog, orders in
                _ = try await catalog.importProducts(.init(products: [.sample("a", stock: 10)]))
                let lease = try HeldLease(on: FaultyMongo.shared.uri, database: first.database)
                let id = try #require(try await orders.submitOrder(.sample("k", [("a", 3)])).order?.id)
                // Stock, queue and ledger: 2.1 s for a settlement.
                try delayWrites(first, by: 700)
                try lease.release()
                defer { #expect(throws: Never.self) { try first.heal() } }
                #expect(try await orders.settled(id).sequence == 1)
                #expect(try await catalog.getProduct(.init(id: "a")).product?.stock == 7)
                #expect(try first.count(CollectionName.settlements) == 1)
            }
        }

        /// Whoever sends them.
        private func delayWrites(_ shop: RunningShop, by milliseconds: Int) throws {
            _ = try shop.inDatabase { client throws(MongoError) in
                try client.runCommand(
                    Document { command in
                        command.append("configureFailPoint", "failCommand")
                        command.append("mode", "alwaysOn")
                        command.document("data") { data in
                            data.append("failCommands", ["update", "insert"])
                            data.append("blockConnection", true)
                            data.append("blockTimeMS", milliseconds)
                        }
                    }, in: "admin")
            }
        }
    }
}
