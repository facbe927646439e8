import MongoDB
import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("Retention", .serialized)
struct RetentionTests {
    @Test("what is final for long enough is forgotten, orders and results; what waits or is younger stays; numbers go on")
    func forgets() async throws {
        let shop = try RunningShop()
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", stock: 100)]))
            for index in 0..<10 { _ = try await orders.settled(try #require(try await orders.submitOrder(.sample("k\(index)", [("a", 1)])).order?.id)) }
        }
        shop.stop()
        // Half of them became final forty days ago.
        _ = try shop.inDatabase { client throws(MongoError) in
            let past = BSONDate(millisecondsSince1970: BSONDate.now().millisecondsSince1970 - 40 * 86_400_000)
            try client.collection(CollectionName.settlements, in: shop.database).updateMany(
                Document { filter in filter.document("_id") { $0.append("$lte", 5) } },
                Update { update in update.document("$set") { $0.append("final", past) } })
        }
        let lease = try HeldLease(database: shop.database)
        let later = try RunningShop(database: shop.database)
        defer { later.stop() }
        try await later.withClient { catalog, orders in
            try await eventually {
                later.shop.retention.wake()
                return try later.count(CollectionName.orders) == 5 && later.count(CollectionName.settlements) == 5
            }
            #expect(try await orders.listOrders(.init()).orders.map(\.idempotencyKey).sorted() == (5..<10).map { "k\($0)" })
            #expect(try await orders.listCompletions(.init(afterSequence: 5)).completions.map(\.sequence) == Array(6...10))
            let gone = await failure { () throws(RPCError) in try await orders.getOrder(.init(id: OrderID.make(identity: "tester", key: "k0"))) }
            #expect(gone == OrderReader.notFound)
            // A key that is forgotten is a new one; one that is remembered is not.
            let anew = try await orders.submitOrder(.sample("k0", [("a", 2)]))
            #expect(!anew.replayed)
            #expect(try await orders.submitOrder(.sample("k9", [("a", 1)])).replayed)
            try lease.release()
            #expect(try await orders.settled(try #require(anew.order?.id)).sequence == 11)
            #expect(try await catalog.getProduct(.init(id: "a")).product?.stock == 88)
        }
    }

    @Test("where all is forgotten, numbers still go on, and a subscriber begins with the next one")
    func all() async throws {
        let shop = try RunningShop(configuration: .init(retention: .zero))
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            for sequence in Int64(1)...3 {
                let id = try #require(try await orders.submitOrder(.sample("k\(sequence)", [("a", 1)])).order?.id)
                try await eventually {
                    shop.shop.retention.wake()
                    return try shop.count(CollectionName.orders, Document { $0.append("_id", id) }) == 0
                }
            }
            try await eventually { try shop.count(CollectionName.settlements) == 0 }
            #expect(try await orders.listCompletions(.init(afterSequence: 3)).lastSequence == 3)
            #expect(try await orders.subscribe(.init(group: "g", afterSequence: -1)).ackedSequence == 3)
        }
    }

    @Test("an order that was accepted anew under the key of a forgotten one stays, should forgetting have been cut short")
    func cutShort() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            let id = try #require(try await orders.submitOrder(.sample("k", [("a", 1)])).order?.id)
            _ = try await orders.settled(id)
            // The order is gone, its result is not.
            _ = try shop.inDatabase { client throws(MongoError) in
                try client.collection(CollectionName.orders, in: shop.database).deleteOne(Document { $0.append("_id", id) })
                let past = Update { update in update.document("$set") { $0.append("final", BSONDate(millisecondsSince1970: 0)) } }
                try client.collection(CollectionName.settlements, in: shop.database).updateMany(Document(), past)
            }
            _ = try await orders.submitOrder(.sample("k", [("a", 5)]))
            #expect(try await orders.settled(id).sequence == 2)
            try await eventually {
                shop.shop.retention.wake()
                return try shop.count(CollectionName.settlements) == 1
            }
            #expect(try await orders.getOrder(.init(id: id)).order?.sequence == 2)
        }
    }

    @Test("an order whose result is gone already is gone")
    func resultGone() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            let id = try #require(try await orders.submitOrder(.sample("k", [("a", 1)])).order?.id)
            _ = try await orders.settled(id)
            _ = try shop.inDatabase { client throws(MongoError) in
                try client.collection(CollectionName.settlements, in: shop.database).deleteMany(Document())
            }
            let gone = await failure { () throws(RPCError) in try await orders.getOrder(.init(id: id)) }
            #expect(gone == OrderReader.notFound)
            #expect(try await orders.listOrders(.init()).orders.isEmpty)
        }
    }
}
