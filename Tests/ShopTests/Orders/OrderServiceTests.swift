import MongoDB
import ProtoRuntime
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

@Suite("Orders", .serialized)
struct OrderServiceTests {
    @Test("an order is accepted, fulfilled, and shows its result, prices and number")
    func fulfilled() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient("customer-1") { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", cents: 99, stock: 5), .sample("b", cents: 150)]))
            let accepted = try await orders.submitOrder(.sample("k1", [("b", 1), ("a", 2)], expectedCents: 348))
            #expect(!accepted.replayed)
            #expect(accepted.order?.state == .accepted)
            #expect(accepted.order?.id == OrderID.make(identity: "customer-1", key: "k1"))
            let order = try await orders.settled(try #require(accepted.order?.id))
            #expect(order.state == .fulfilled)
            #expect(order.total == MinorAmount(currency: "USD", minor: 348).money)
            #expect(order.lines.map(\.productId) == ["a", "b"])
            #expect(order.lines.map { $0.unitPrice?.nanos } == [990_000_000, 500_000_000])
            #expect(order.sequence == 1)
            #expect((order.finalTime?.seconds ?? 0) >= (order.acceptTime?.seconds ?? .max))
            #expect(try await orders.getOrder(.init(id: order.id)).order == order)
            #expect(try await catalog.getProduct(.init(id: "a")).product?.stock == 3)
        }
    }

    @Test("each reason to reject is told, and takes no stock")
    func rejected() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(
                .init(products: [
                    .sample("a", stock: 5), .sample("euro", currency: "EUR"), .sample("dear", cents: .max / 4),
                ]))
            let table: [(Orders.SubmitOrderRequest, Orders.RejectReason, String)] = [
                (.sample("1", [("a", 1), ("none", 1)]), .unknownProduct, "none"),
                (.sample("2", [("a", 6)]), .outOfStock, "a"),
                (.sample("3", [("a", 1), ("euro", 1)]), .mixedCurrencies, "euro"),
                (.sample("4", [("a", 1)], expectedCents: 1), .totalMismatch, "the total is 1.00 USD, expected was 0.01 USD"),
                (.sample("5", [("dear", 5)]), .totalOverflow, ""),
            ]
            for (request, reason, detail) in table {
                let id = try #require(try await orders.submitOrder(request).order?.id)
                let order = try await orders.settled(id)
                #expect(order.state == .rejected)
                #expect(order.rejectReason == reason)
                #expect(order.rejectDetail == detail)
                #expect(order.total == nil)
            }
            #expect(try await catalog.getProduct(.init(id: "a")).product?.stock == 5)
        }
    }

    @Test("the same key and content is the same order; other content is refused; another client's key is another order")
    func idempotency() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient("alice") { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a"), .sample("b")]))
            let first = try await orders.submitOrder(.sample("key", [("a", 1), ("b", 2)]))
            let second = try await orders.submitOrder(.sample("key", [("b", 1), ("a", 1), ("b", 1)]))
            #expect(second.replayed)
            #expect(second.order?.id == first.order?.id)
            let final = try await orders.settled(try #require(first.order?.id))
            // Later the replay shows the result.
            #expect(try await orders.submitOrder(.sample("key", [("a", 1), ("b", 2)])).order == final)
            for other in [Orders.SubmitOrderRequest.sample("key", [("a", 1)]), .sample("key", [("a", 1), ("b", 2)], expectedCents: 300)] {
                let error = await failure { () throws(RPCError) in try await orders.submitOrder(other) }
                #expect(error?.code == .alreadyExists)
                #expect(error?.reason == "IDEMPOTENCY_KEY_REUSED")
            }
            try await shop.withClient("bob") { _, bobs in
                let order = try await bobs.submitOrder(.sample("key", [("a", 1)]))
                #expect(!order.replayed)
                #expect(order.order?.id != first.order?.id)
            }
        }
    }

    @Test("a key sent many times at once, with two contents, makes one order")
    func sameKeyAtOnce() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            for round in 0..<5 {
                let outcomes = await withTaskGroup(of: (Int32, String?, Bool, String?).self) { group in
                    for index in 0..<40 {
                        let quantity = Int32(1 + index % 2)
                        group.addTask {
                            do throws(RPCError) {
                                let response = try await orders.submitOrder(.sample("key-\(round)", [("a", quantity)]))
                                return (quantity, response.order?.id, response.replayed, nil)
                            } catch {
                                return (quantity, nil, false, error.reason)
                            }
                        }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                let stored = outcomes.filter { $0.1 != nil }
                #expect(stored.count == 20)
                #expect(Set(stored.map(\.0)).count == 1)
                #expect(Set(stored.map(\.1)).count == 1)
                #expect(stored.count { !$0.2 } == 1)
                #expect(Set(outcomes.compactMap(\.3)) == ["IDEMPOTENCY_KEY_REUSED"])
            }
            #expect(try shop.count(CollectionName.orders) == 5)
        }
    }

    @Test("checking only stores nothing, and says what is wrong as submitting would")
    func validateOnly() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { _, orders in
            var request = Orders.SubmitOrderRequest.sample("k", [("b", 1), ("a", 1), ("b", 1)])
            request.validateOnly = true
            let response = try await orders.submitOrder(request)
            #expect(response.order?.lines.map(\.quantity) == [1, 2])
            #expect(response.order?.state == .unspecified)
            request.lines = []
            let invalid = request
            let error = await failure { () throws(RPCError) in try await orders.submitOrder(invalid) }
            #expect(error?.fieldViolations.map(\.field) == ["lines"])
            #expect(try shop.count(CollectionName.orders) == 0)
        }
    }

    @Test("an order of another client and one that does not exist are the same to a caller")
    func foreignOrders() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient("owner") { _, orders in
            let id = try #require(try await orders.submitOrder(.sample("k", [("a", 1)])).order?.id)
            try await shop.withClient("stranger") { _, foreign in
                for id in [id, OrderID.make(identity: "x", key: "y"), "not an id"] {
                    let read = await failure { () throws(RPCError) in try await foreign.getOrder(.init(id: id)) }
                    #expect(read == OrderReader.notFound)
                    let wait = await failure { () throws(RPCError) in
                        try await foreign.waitOrder(.init(id: id, waitTime: .init(seconds: 1)))
                    }
                    #expect(wait == OrderReader.notFound)
                }
            }
            // Both ask for it at once: one query must not answer the other.
            try await shop.withClient("stranger") { _, foreign in
                async let mine = orders.waitOrder(.init(id: id, waitTime: .init(seconds: 5)))
                let theirs = await failure { () throws(RPCError) in try await foreign.waitOrder(.init(id: id)) }
                #expect(theirs == OrderReader.notFound)
                let own = try await mine.order
                #expect(own?.id == id)
            }
        }
    }

    @Test("1,000 orders from one client and from 50 are all settled once: numbers without gaps, stock exact", arguments: [1, 50])
    func concurrent(clients: Int) async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        let channels = try (0..<clients).map { try shop.channel("client-\($0)") }
        defer { for channel in channels { channel.close() } }
        let catalog = Catalog.CatalogService.Client(channels[0])
        _ = try await catalog.importProducts(.init(products: (0..<10).map { .sample("p\($0)", cents: 100, stock: 150) }))
        let sequences = try await withThrowingTaskGroup(of: (Int64, Orders.OrderState).self) { group in
            for index in 0..<1000 {
                let orders = Orders.OrderService.Client(channels[index % clients])
                group.addTask {
                    let request = Orders.SubmitOrderRequest.sample("k\(index)", [("p\(index % 10)", 1), ("p\((index + 1) % 10)", 1)])
                    let response = try await orders.submitOrder(request, options: CallOptions(timeout: .seconds(30)))
                    #expect(response.order?.idempotencyKey == request.idempotencyKey)
                    let order = try await orders.settled(try #require(response.order?.id))
                    #expect(order.idempotencyKey == request.idempotencyKey)
                    return (order.sequence, order.state)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(sequences.map(\.0).sorted() == Array(1...1000))
        let fulfilled = sequences.count { $0.1 == .fulfilled }
        var sold: Int64 = 0
        for index in 0..<10 {
            let stock = try #require(try await catalog.getProduct(.init(id: "p\(index)")).product?.stock)
            #expect((0...150).contains(stock))
            sold += 150 - stock
        }
        #expect(sold == Int64(fulfilled) * 2)
    }

    @Test("waiting returns the order as it stands when the time is over, and at once when it is zero")
    func waitTimesOut() async throws {
        let shop = try RunningShop(database: databaseSettledElsewhere())
        defer { shop.stop() }
        try await shop.withClient { _, orders in
            let id = try #require(try await orders.submitOrder(.sample("k", [("a", 1)])).order?.id)
            let clock = ContinuousClock()
            for milliseconds in [0, 200] {
                let elapsed = try await clock.measure {
                    let order = try await orders.waitOrder(.init(id: id, waitTime: .init(nanos: Int32(milliseconds) * 1_000_000))).order
                    #expect(order?.state == .accepted)
                }
                #expect(elapsed >= .milliseconds(milliseconds))
            }
            // The caller's own deadline comes first: an answer, not an error.
            let order = try await orders.waitOrder(
                .init(id: id, waitTime: .init(seconds: 30)), options: CallOptions(timeout: .milliseconds(500))).order
            #expect(order?.state == .accepted)
            for time in [WellKnown.Duration(seconds: 61), .init(seconds: -1), .init(nanos: -1), .init(seconds: 60, nanos: 1_000_000_000)] {
                let error = await failure { () throws(RPCError) in try await orders.waitOrder(.init(id: id, waitTime: time)) }
                #expect(error?.fieldViolations.map(\.field) == ["wait_time"])
            }
        }
    }

    /// A database whose settler is a server that does nothing.
    private func databaseSettledElsewhere() throws -> String {
        let (uri, name) = TestMongo.freshDatabase()
        let pool = try ClientPool.passing(uri: uri, appName: "other", timeouts: .calls)
        try pool.withClient { client throws(MongoError) in
            try client.collection(CollectionName.leases, in: name).insertOne(
                Document {
                    $0.append("_id", "settler")
                    $0.append("epoch", 1)
                    $0.append("sequence", 0)
                    $0.append("expires", BSONDate(millisecondsSince1970: 4_000_000_000_000))
                })
        }
        return name
    }

    @Test("shutting down answers who waits with the order as it stands")
    func stopAnswersWaiters() async throws {
        let shop = try RunningShop(database: databaseSettledElsewhere())
        let channel = try shop.channel("tester")
        defer { channel.close() }
        let orders = Orders.OrderService.Client(channel)
        let id = try #require(try await orders.submitOrder(.sample("k", [("a", 1)])).order?.id)
        async let waiting = orders.waitOrder(.init(id: id, waitTime: .init(seconds: 60)), options: CallOptions(timeout: .seconds(60)))
        try await eventually { shop.shop.waiters.count == 1 }
        shop.stop()
        #expect(try await waiting.order?.state == .accepted)
    }
}
