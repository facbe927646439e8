import MongoDB
import ProtoShop
import RPC
import Synchronization
import TestSupport
import Testing

@testable import Shop

private final class Tally: Sendable {
    private let number = Atomic(0)
    var count: Int { number.load(ordering: .relaxed) }
    func add() { number.add(1, ordering: .relaxed) }
}

/// Settled orders leave the queue by a transaction of their own: between the two commits anything may happen.
@Suite("Leaving the queue", .serialized)
struct QueueExitTests {
    /// A settler in the hands of a test, with the lease of a shop that settles nothing meanwhile.
    private struct Hand {
        let shop: RunningShop
        let lease: HeldLease
        let transaction: SettlementTransaction
        let exit: QueueExit
        /// How often somebody was to be told.
        let told = Tally()
        private let exitName = "exit_\(OpaqueID.make())"

        init(_ shop: RunningShop) throws {
            self.shop = shop
            lease = try HeldLease(on: FaultyMongo.shared.uri, database: shop.database)
            let pool = try ClientPool.passing(uri: FaultyMongo.shared.uri, appName: exitName, timeouts: .calls)
            let orders = OrderStore(database: shop.database)
            let progress = ProgressStore(database: shop.database)
            transaction = SettlementTransaction(
                leases: LeaseStore(database: shop.database), orders: orders, stock: StockStore(database: shop.database),
                catalogue: CategoryStore(database: shop.database), settlements: SettlementStore(database: shop.database), progress: progress)
            exit = QueueExit(pool: pool, orders: orders, progress: progress, settler: LoopThread()) { [told] _ in told.add() }
            exit.start()
        }

        private static let deadline = Duration.seconds(10)

        func epoch() throws -> Int64 {
            try shop.inDatabase { client throws(MongoError) in
                try transaction.leases.observe(client, before: .after(Self.deadline))?.epoch ?? 0
            }
        }

        func head() throws -> [OrderRecord] {
            try shop.inDatabase { client throws(MongoError) in
                try transaction.orders.oldest(100, from: nil, client, before: .after(Self.deadline)).orders
            }
        }

        /// Settles as the settler does.
        func settle(_ batch: [OrderRecord]) throws -> SettlementTransaction.Outcome {
            let epoch = try epoch()
            return try shop.inDatabase { client throws(MongoError) in
                let session = try client.startSession()
                var known = KnownProducts()
                return try transaction.run(
                    batch, by: exit, epoch: epoch, lasting: .seconds(60), knowing: &known, on: session, before: .after(Self.deadline),
                    pause: { _ in true })
            }
        }

        /// Settles what is queued, and lets the second commit fail.
        func settleHalf() async throws {
            let session = try exit.open()
            let batch = try head()
            try failExit(mode: Document { $0.append("times", 1) })
            #expect(try settle(batch) == .settled(last: Int64(batch.count)))
            let error = #expect(throws: MongoError.self) { try exit.finish() }
            #expect(error?.code == 251 && error?.labels == [])
            #expect(exit.isBroken)
            #expect(throws: MongoError.self) { try exit.leave([], settlement: 9, finalAt: .now(), before: .after(.seconds(1))) }
            // The transaction is still open on the server, as where a commit did not get through.
            try shop.inDatabase { client throws(MongoError) in try client.killSessions([session]) }
            _ = try exit.open()
            #expect(!exit.isBroken)
            // A majority has the settlement: that alone keeps nobody from telling.
            try await eventually {
                let given = try shop.inDatabase { client throws(MongoError) in
                    try transaction.leases.sequence(client, before: .after(Self.deadline))
                }
                return given == Int64(batch.count)
            }
        }

        private func failExit(mode: Document) throws {
            let command = Document { command in
                command.append("configureFailPoint", "failCommand")
                command.append("mode", mode)
                command.document("data") { data in
                    data.append("failCommands", ["commitTransaction"])
                    data.append("appName", exitName)
                    data.append("errorCode", 251)
                }
            }
            _ = try shop.inDatabase { client throws(MongoError) in try client.runCommand(command, in: "admin") }
        }

        /// The number up to which somebody may be told.
        func lastSequence() throws -> Int64 {
            try shop.inDatabase { client throws(MongoError) in
                try transaction.settlements.lastSequence(client, before: .after(Self.deadline))
            }
        }

        func end() {
            exit.abort()
            exit.stop()
        }
    }

    /// A shop that has ten of a product and settles nothing, and who settles instead.
    private func withHand(
        retention: Duration = ShopConfiguration.defaultRetention,
        _ body: (RunningShop, Hand, Catalog.CatalogService.Client, Orders.OrderService.Client) async throws -> Void
    ) async throws {
        let shop = try RunningShop(on: FaultyMongo.shared, configuration: .init(retention: retention))
        defer { shop.stop() }
        let hand = try Hand(shop)
        defer { hand.end() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", stock: 10)]))
            try await body(shop, hand, catalog, orders)
        }
    }

    private func submit(_ count: Int, _ orders: Orders.OrderService.Client) async throws -> [String] {
        var ids: [String] = []
        for index in 0..<count {
            ids.append(try #require(try await orders.submitOrder(.sample("k\(index)", [("a", 1)])).order?.id))
        }
        return ids
    }

    @Test("where the settler dies between the commits, nobody is told, and the next one lets the orders go: once, with their numbers")
    func between() async throws {
        try await withHand { shop, hand, catalog, orders in
            let ids = try await submit(3, orders)
            try await hand.settleHalf()

            #expect(try shop.count(CollectionName.settlements) == 1)
            #expect(try hand.lastSequence() == 0)
            #expect(hand.told.count == 0)
            #expect(try await orders.listCompletions(.init()).completions.isEmpty)
            for id in ids { #expect(try await orders.getOrder(.init(id: id)).order?.state == .accepted) }
            #expect(try await catalog.getProduct(.init(id: "a")).product?.stock == 7)

            // A wish that comes now is too late, whoever settles next.
            async let late = failure { () throws(RPCError) in
                try await orders.cancelOrder(.init(id: ids[0]), options: CallOptions(timeout: .seconds(20)))
            }
            try await eventually { try shop.count(CollectionName.orders, Document { $0.append("cancel", true) }) == 1 }
            try hand.lease.release()
            for (index, id) in ids.enumerated() {
                let order = try await orders.settled(id)
                #expect(order.state == .fulfilled && order.sequence == Int64(index + 1))
            }
            let refusal = await late
            #expect(refusal?.reason == "ORDER_FINAL", "\(String(describing: refusal))")
            let next = try await orders.settled(try #require(try await orders.submitOrder(.sample("next", [("a", 1)])).order?.id))
            #expect(next.sequence == 4)
            #expect(try await orders.listCompletions(.init()).completions.map(\.sequence) == [1, 2, 3, 4])
            #expect(try await catalog.getProduct(.init(id: "a")).product?.stock == 6)
            #expect(try shop.count(CollectionName.orders, Document { $0.append("queued", true) }) == 0)
        }
    }

    @Test("what was settled is not forgotten before its orders have left the queue")
    func retention() async throws {
        try await withHand(retention: .seconds(1)) { shop, hand, catalog, orders in
            let id = try await submit(1, orders)[0]
            try await hand.settleHalf()
            try await Task.sleep(for: .seconds(1.5))
            shop.shop.retention.wake()
            try await Task.sleep(for: .seconds(0.5))
            #expect(try shop.count(CollectionName.settlements) == 1)
            try hand.lease.release()
            #expect(try await orders.settled(id).sequence == 1)
            #expect(try await catalog.getProduct(.init(id: "a")).product?.stock == 9)
            shop.shop.retention.wake()
            try await eventually { try shop.count(CollectionName.settlements) == 0 && shop.count(CollectionName.orders) == 0 }
        }
    }

    @Test("a wish to cancel that came after the order was read makes both transactions void")
    func cancelled() async throws {
        try await withHand { shop, hand, catalog, orders in
            let ids = try await submit(2, orders)
            _ = try hand.exit.open()
            let batch = try hand.head()
            async let cancelled = orders.cancelOrder(.init(id: ids[1]), options: CallOptions(timeout: .seconds(20))).order
            try await eventually { try shop.count(CollectionName.orders, Document { $0.append("cancel", true) }) == 1 }
            let error = #expect(throws: MongoError.self) { try hand.settle(batch) }
            #expect(error?.kind == .writeConflict)
            #expect(!hand.exit.isBroken)
            #expect(try shop.count(CollectionName.settlements) == 0)
            #expect(try await catalog.getProduct(.init(id: "a")).product?.stock == 10)
            // Read again, it goes.
            #expect(try hand.settle(hand.head()) == .settled(last: 2))
            try hand.exit.finish()
            #expect(try await cancelled?.state == .cancelled)
            #expect(try await orders.settled(ids[0]).state == .fulfilled)
            try await eventually { hand.told.count == 1 }
        }
    }
}
