import Logging
import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

@Suite("Settling", .serialized)
struct SettlerTests {
    @Test("orders accepted by one server are settled by the other's settler, and waiting finds them by the log")
    func standby() async throws {
        let holder = try RunningShop()
        defer { holder.stop() }
        try await holder.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            // Once something was settled, this server holds the lease.
            _ = try await orders.settled(try #require(try await orders.submitOrder(.sample("first", [("a", 1)])).order?.id))
        }
        let standby = try RunningShop(database: holder.database)
        defer { standby.stop() }
        try await standby.withClient { _, orders in
            let order = try await orders.settled(try #require(try await orders.submitOrder(.sample("second", [("a", 1)])).order?.id))
            #expect(order.sequence == 2)
        }
    }

    @Test("a settler that stops gives its lease to the next, and numbers go on without a gap")
    func handOver() async throws {
        var database: String?
        for round in 1...3 {
            let shop = try database.map { try RunningShop(database: $0) } ?? RunningShop()
            database = shop.database
            try await shop.withClient { catalog, orders in
                _ = try await catalog.importProducts(.init(products: [.sample("a")]))
                let id = try #require(try await orders.submitOrder(.sample("k\(round)", [("a", 1)])).order?.id)
                #expect(try await orders.settled(id).sequence == Int64(round))
            }
            shop.stop()
        }
    }

    @Test("a killed settler's open transactions are ended by who takes over, not by their 60 s limit")
    func killedInTransaction() async throws {
        let (uri, name) = TestMongo.freshDatabase()
        let pool = try ClientPool.passing(uri: uri, appName: "killed", timeouts: .calls)
        // MongoDB's own limit; the embedded one has a shorter one, after which anybody could go on.
        let usual = try Self.limitTransactions(to: 60, pool)
        do { try await takeOver(name, pool) } catch { Issue.record(error) }
        _ = try Self.limitTransactions(to: usual, pool)
    }

    private func takeOver(_ name: String, _ pool: ClientPool) async throws {
        let leases = LeaseStore(database: name)
        let client = try pool.takeClient()
        let session = try client.startSession()
        let exitClient = try pool.takeClient()
        let exit = try exitClient.startSession()
        let deadline = Deadline.after(.seconds(10))
        // As where a server was before: an index that is made waits for open transactions.
        var logger = Logger(label: "schema")
        logger.logLevel = .critical
        try ShopSchema(database: name).create(client, logger: logger)
        try leases.create(client, before: deadline)
        let observed = try #require(try leases.observe(client, before: deadline))
        let epoch = try #require(
            try leases.take(
                from: observed, holder: "killed", sessions: [session.id, exit.id], lasting: Limits.leaseDuration, client, before: deadline))
        try leases.release(epoch: epoch, client, before: deadline)
        let order = OrderRecord(try OrderForm(.sample("k", [("a", 1)])), identity: "tester", traceparent: nil, acceptedAt: .now())
        _ = try OrderStore(database: name).insert([order], client, before: deadline)
        try session.startTransaction()
        #expect(try leases.takeSequence(5, epoch: epoch, lasting: Limits.leaseDuration, session, before: deadline) == 5)

        let row = CompletionRecord(
            sequence: 5, orderID: order.id, identity: order.identity, key: order.key, verdict: .cancelled, traceparent: nil, finalAt: .now())
        try exit.startTransaction()
        try OrderStore(database: name).leaveQueue([row], settlement: 5, isCommitted: true, finalAt: .now(), exit)
        try ProgressStore(database: name).advance(to: 5, exit, before: deadline)

        // The transactions stay open, as those of a process that is no more.
        let shop = try RunningShop(database: name)
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            #expect(try await orders.settled(order.id).sequence == 1)
        }
        let error = #expect(throws: MongoError.self) { try session.commitTransaction() }
        #expect(error?.kind == .transactionAborted)
        let exitError = #expect(throws: MongoError.self) { try exit.commitTransaction() }
        #expect(exitError?.kind == .transactionAborted)
    }

    /// Returns the limit before, in seconds.
    private static func limitTransactions(to seconds: Int64, _ pool: ClientPool) throws(MongoError) -> Int64 {
        let command = Document { command in
            command.append("setParameter", 1)
            command.append("transactionLifetimeLimitSeconds", seconds)
        }
        let reply = try pool.withClient { (client) throws(MongoError) in try client.runCommand(command, in: "admin") }
        return try reply.view.int64("was")
    }

    @Test("a stale settler's transaction changes nothing")
    func fence() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", stock: 10)]))
            _ = try await orders.settled(try #require(try await orders.submitOrder(.sample("k", [("a", 1)])).order?.id))
        }
        let stale = OrderRecord(
            try OrderForm(.sample("late", [("a", 5)])), identity: "tester", traceparent: nil, acceptedAt: .now())
        let transaction = SettlementTransaction(
            leases: LeaseStore(database: shop.database), orders: OrderStore(database: shop.database),
            stock: StockStore(database: shop.database), catalogue: CategoryStore(database: shop.database),
            settlements: SettlementStore(database: shop.database), progress: ProgressStore(database: shop.database))
        let exit = QueueExit(
            pool: shop.calls, orders: transaction.orders, progress: transaction.progress, settler: LoopThread(), didSettle: { _ in })
        exit.start()
        defer { exit.stop() }
        let outcome = try shop.inDatabase { client throws(MongoError) in
            _ = try exit.open()
            let session = try client.startSession()
            var known = KnownProducts()
            return try transaction.run(
                [stale], by: exit, epoch: 0, lasting: Limits.leaseDuration, knowing: &known, on: session, before: .after(.seconds(5)), pause: { _ in true })
        }
        #expect(outcome == .leaseLost)
        #expect(try shop.count(CollectionName.settlements) == 1)
        try await shop.withClient { catalog, _ in
            let stock = try await catalog.getProduct(.init(id: "a")).product?.stock
            #expect(stock == 9)
        }
    }

    @Test("an order that a server with a slow clock inserts late is settled all the same")
    func lateOrder() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            _ = try await orders.settled(try #require(try await orders.submitOrder(.sample("k", [("a", 1)])).order?.id))
            let late = OrderRecord(
                try OrderForm(.sample("late", [("a", 1)])), identity: "tester", traceparent: nil,
                acceptedAt: BSONDate(millisecondsSince1970: BSONDate.now().millisecondsSince1970 - 3_600_000))
            let result = try shop.inDatabase { client throws(MongoError) in
                try OrderStore(database: shop.database).insert([late], client, before: .after(.seconds(1)))
            }
            #expect(result.insertedCount == 1)
            #expect(try await orders.settled(late.id).sequence == 2)
        }
    }

    @Test("poison is parked, visible, and in nobody's way")
    func poison() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        // One document that is no order, and one product whose orders cannot be decided.
        try shop.inDatabase { client throws(MongoError) in
            try client.collection(CollectionName.orders, in: shop.database).insertOne(
                Document {
                    $0.append("_id", "garbage")
                    $0.append("accepted", BSONDate(millisecondsSince1970: 0))
                    $0.append("queued", true)
                })
            try client.collection(CollectionName.products, in: shop.database).insertOne(
                Document {
                    $0.append("_id", "broken")
                    $0.append("stock", 5)
                })
        }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            var good: [String] = []
            var bad: [String] = []
            for index in 0..<20 {
                let product = index % 5 == 0 ? "broken" : "a"
                let id = try #require(try await orders.submitOrder(.sample("k\(index)", [(product, Int32(1))])).order?.id)
                if product == "a" { good.append(id) } else { bad.append(id) }
            }
            for id in good { #expect(try await orders.settled(id).state == .fulfilled) }
            for id in bad { #expect(try await orders.getOrder(.init(id: id)).order?.state == .accepted) }
            // An order that comes later is settled after all of them were tried often enough.
            _ = try await orders.settled(try #require(try await orders.submitOrder(.sample("last", [("a", 1)])).order?.id))
        }
        let parked = Document { filter in filter.document("parked") { $0.append("$exists", true) } }
        try await eventually { try shop.count(CollectionName.orders, parked) == 5 }
        #expect(try shop.count(CollectionName.orders, Document { $0.append("queued", true) }) == 0)
    }
}
