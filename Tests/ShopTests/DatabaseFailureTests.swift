import EmbeddedMongoDB
import Glibc
import Logging
import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

/// A mongod of its own for failures: a server has one `failCommand` for all of its clients, so whoever sets it stands in the
/// way of all others who do.
enum FaultyMongo {
    static let shared: EmbeddedMongod = {
        do {
            let mongod = try EmbeddedMongod.start(extraArguments: ["--setParameter", "enableTestCommands=1"])
            atexit { FaultyMongo.shared.discard() }
            return mongod
        } catch {
            fatalError("tests need a mongod: \(error)")
        }
    }()
}

extension RunningShop {
    /// Ends what `fail` began.
    func heal() throws {
        _ = try inDatabase { client throws(MongoError) in
            try client.runCommand(
                Document { command in
                    command.append("configureFailPoint", "failCommand")
                    command.append("mode", "off")
                }, in: "admin")
        }
    }

    /// Makes the database fail for this shop's clients only: those of its own threads, too, which use up some of the times.
    func fail(_ commands: [String], times: Int, _ build: (inout DocumentBuilder) -> Void) throws {
        _ = try inDatabase { client throws(MongoError) in
            try client.runCommand(
                Document { command in
                    command.append("configureFailPoint", "failCommand")
                    command.document("mode") { $0.append("times", times) }
                    command.document("data") { data in
                        data.append("failCommands", commands)
                        data.append("appName", appName)
                        build(&data)
                    }
                }, in: "admin")
        }
    }
}

@Suite("When the database fails", .serialized)
struct DatabaseFailureTests {
    @Test("a database that is away is said to be, with the time to try again")
    func databaseAway() async throws {
        let shop = try RunningShop(on: FaultyMongo.shared)
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            try shop.fail(["find", "aggregate"], times: 1_000) { $0.append("closeConnection", true) }
            let error = await failure { () throws(RPCError) in try await catalog.getProduct(.init(id: "a")) }
            try shop.heal()
            #expect(error?.reason == "DATABASE_UNAVAILABLE")
            #expect(error?.disposition == .notExecuted)
            #expect(error?.retryDelay == Limits.databaseRetryDelay)
        }
    }

    @Test("a call that has no time left does not reach the database, and says that nothing was done")
    func noTimeLeft() throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        let database = ShopDatabase(pool: shop.calls, name: shop.database, logger: Logger(label: "test"))
        let error = #expect(throws: RPCError.self) {
            try database.perform(.write, before: Deadline(.now)) { (_) throws(MongoError) in Issue.record("it did") }
        }
        #expect(error?.code == .deadlineExceeded && error?.metadata["place"] == "database" && error?.disposition == .notExecuted)
    }

    @Test("a write that is not known to be durable is not accepted; the same key tells later what became of it")
    func writeConcernError() async throws {
        let shop = try RunningShop(on: FaultyMongo.shared)
        defer { shop.stop() }
        try await shop.withClient { _, orders in
            try shop.fail(["insert"], times: 1) { data in
                data.document("writeConcernError") {
                    $0.append("code", Int32(64))
                    $0.append("errmsg", "waiting for replication timed out")
                }
            }
            try await expectUnknownThenReplay(orders)
        }
    }

    @Test("neither is one whose connection broke, though libmongoc tried twice")
    func network() async throws {
        let shop = try RunningShop(on: FaultyMongo.shared)
        defer { shop.stop() }
        try await shop.withClient { _, orders in
            try shop.fail(["insert"], times: 2) { $0.append("closeConnection", true) }
            try await expectUnknownThenReplay(orders)
        }
    }

    private func expectUnknownThenReplay(_ orders: Orders.OrderService.Client) async throws {
        let request = Orders.SubmitOrderRequest.sample("k", [("a", 1)])
        let invoked = await failure { () throws(RPCError) in try await orders.submitOrder(request) }
        // The channel may have repeated the call by itself, as SubmitOrder is idempotent: then it is replayed already.
        if let invoked {
            #expect(invoked.reason == "OUTCOME_UNKNOWN")
            #expect(invoked.disposition == .maybe)
            #expect(invoked.retryDelay == Limits.databaseRetryDelay)
        }
        // The database may be taken for away for another moment.
        let response = try await eventually { () async throws -> Orders.SubmitOrderResponse? in
            do throws(RPCError) {
                return try await orders.submitOrder(request)
            } catch {
                guard error.code == .unavailable else { throw error }
                return nil
            }
        }
        #expect(response.order?.id == OrderID.make(identity: "tester", key: "k"))
    }

    @Test("a commit whose outcome is open is repeated alone: the batch is settled once")
    func unknownCommit() async throws {
        let shop = try RunningShop(on: FaultyMongo.shared)
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", stock: 10)]))
            try shop.fail(["commitTransaction"], times: 4) { data in
                data.document("writeConcernError") {
                    $0.append("code", Int32(64))
                    $0.append("errmsg", "waiting for replication timed out")
                }
            }
            let order = try await orders.settled(try #require(try await orders.submitOrder(.sample("k", [("a", 3)])).order?.id))
            #expect(order.sequence == 1)
            #expect(try await catalog.getProduct(.init(id: "a")).product?.stock == 7)
            #expect(try shop.count(CollectionName.settlements) == 1)
        }
    }

    @Test("a settler whose database goes away goes on by itself", arguments: ["find", "findAndModify", "update", "insert", "commitTransaction"])
    func databaseComesBack(command: String) async throws {
        let shop = try RunningShop(on: FaultyMongo.shared)
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", stock: 10)]))
            let id = try #require(try await orders.submitOrder(.sample("k", [("a", 3)])).order?.id)
            _ = try await orders.settled(id)
            try shop.fail([command], times: 3) { $0.append("closeConnection", true) }
            // Whatever the caller hears, the order is accepted in the end, and settled once.
            var accepted: Orders.SubmitOrderResponse?
            while accepted == nil {
                do throws(RPCError) {
                    accepted = try await orders.submitOrder(.sample("second", [("a", 3)]))
                } catch {
                    #expect(error.code == .unavailable)
                }
            }
            let order = try await eventually { () async throws -> Orders.Order? in
                do throws(RPCError) {
                    let order = try await orders.getOrder(.init(id: OrderID.make(identity: "tester", key: "second"))).order
                    return order?.sequence ?? 0 > 0 ? order : nil
                } catch {
                    return nil
                }
            }
            #expect(order.sequence == 2)
            #expect(try await catalog.getProduct(.init(id: "a")).product?.stock == 4)
        }
    }
}
