import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

@Suite("Cancelling", .serialized)
struct CancelOrderTests {
    @Test("an order that is not decided yet is cancelled: no stock moves, and its completion says so")
    func cancelled() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        let lease = try HeldLease(database: shop.database)
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", stock: 5)]))
            let id = try #require(try await orders.submitOrder(.sample("k", [("a", 2)])).order?.id)
            async let cancelled = orders.cancelOrder(.init(id: id), options: CallOptions(timeout: .seconds(20))).order
            try await eventually {
                try shop.count(CollectionName.orders, Document { $0.append("cancel", true) }) == 1
            }
            #expect(try await orders.getOrder(.init(id: id)).order?.state == .accepted)
            try lease.release()
            let order = try #require(try await cancelled)
            #expect(order.state == .cancelled)
            #expect(order.total == nil)
            #expect(order.sequence == 1)
            #expect(try await catalog.getProduct(.init(id: "a")).product?.stock == 5)
            // Again, and the same key again: the same order.
            #expect(try await orders.cancelOrder(.init(id: id)).order == order)
            let replay = try await orders.submitOrder(.sample("k", [("a", 2)]))
            #expect(replay.replayed && replay.order == order)
            let completions = try await orders.listCompletions(.init()).completions
            #expect(completions.map(\.state) == [.cancelled])
            #expect(completions.map(\.orderId) == [id])
        }
    }

    @Test("a final order stays as it is, and another client's is not there")
    func refused() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient("alice") { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", stock: 5)]))
            let fulfilled = try await orders.settled(try #require(try await orders.submitOrder(.sample("1", [("a", 1)])).order?.id))
            let rejected = try await orders.settled(try #require(try await orders.submitOrder(.sample("2", [("none", 1)])).order?.id))
            for order in [fulfilled, rejected] {
                let error = await failure { () throws(RPCError) in try await orders.cancelOrder(.init(id: order.id)) }
                #expect(error?.code == .failedPrecondition)
                #expect(error?.reason == "ORDER_FINAL")
                #expect(try await orders.getOrder(.init(id: order.id)).order == order)
            }
            try await shop.withClient("bob") { _, bobs in
                for id in [fulfilled.id, OrderID.make(identity: "bob", key: "none"), "no-id"] {
                    let error = await failure { () throws(RPCError) in try await bobs.cancelOrder(.init(id: id)) }
                    #expect(error == OrderReader.notFound)
                }
            }
        }
    }

    @Test("of many orders that are cancelled while they are settled, each ends once, and stock moves for the fulfilled ones only")
    func race() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", stock: 1000)]))
            let ends = try await withThrowingTaskGroup(of: Orders.OrderState.self) { group in
                for index in 0..<200 {
                    group.addTask {
                        let id = try #require(try await orders.submitOrder(.sample("k\(index)", [("a", 1)])).order?.id)
                        do throws(RPCError) {
                            return try await orders.cancelOrder(.init(id: id), options: CallOptions(timeout: .seconds(20))).order?.state ?? .unspecified
                        } catch {
                            #expect(error.reason == "ORDER_FINAL")
                        }
                        return try await orders.settled(id).state
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(ends).isSubset(of: [.fulfilled, .cancelled]))
            let fulfilled = Int64(ends.count { $0 == .fulfilled })
            #expect(try await catalog.getProduct(.init(id: "a")).product?.stock == 1000 - fulfilled)
            let completions = try await orders.listCompletions(.init(maxCount: 1000)).completions
            #expect(completions.map(\.sequence) == Array(1...200))
            #expect(Set(completions.map(\.orderId)).count == 200)
        }
    }

    @Test("a parked order can be cancelled")
    func parked() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try shop.inDatabase { client throws(MongoError) in
            try client.collection(CollectionName.products, in: shop.database).insertOne(
                Document { $0.append("_id", "broken"); $0.append("stock", 5) })
        }
        try await shop.withClient { _, orders in
            let id = try #require(try await orders.submitOrder(.sample("k", [("broken", 1)])).order?.id)
            try await eventually {
                try shop.count(CollectionName.orders, Document { $0.document("parked") { $0.append("$exists", true) } }) == 1
            }
            #expect(try await orders.cancelOrder(.init(id: id), options: CallOptions(timeout: .seconds(20))).order?.state == .cancelled)
        }
    }
}
