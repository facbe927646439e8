import MongoDB
import ProtoRuntime
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

@Suite("A full backlog", .serialized)
struct BacklogTests {
    @Test("new orders are refused while nobody settles, known keys are answered as ever, and all goes on once somebody does")
    func fills() async throws {
        let database = TestMongo.freshDatabase().name
        let lease = try HeldLease(database: database)
        let shop = try RunningShop(database: database)
        defer { shop.stop() }
        let patient = try ClientPool.passing(uri: TestMongo.shared.uri, appName: "filler", size: 1, timeouts: .background)
        try await shop.withClient { _, orders in
            let first = try await orders.submitOrder(.sample("first", [("a", 1)]))
            // Documents that are no orders, so that they are out of the queue soon: each settling would take its time.
            try patient.withClient { client throws(MongoError) in
                for start in stride(from: 0, to: Int(Limits.minBacklog), by: 5000) {
                    let documents = (start..<start + 5000).map { number in
                        Document { $0.append("_id", "\(number)"); $0.append("accepted", BSONDate.now()); $0.append("queued", true) }
                    }
                    try client.collection(CollectionName.orders, in: database).insertMany(documents).checked()
                }
            }
            var number = 0
            let refusal = try await eventually {
                number += 1
                let request = Orders.SubmitOrderRequest.sample("k\(number)", [("a", 1)])
                return await failure { () throws(RPCError) in try await orders.submitOrder(request) }
            }
            #expect(refusal.code == .resourceExhausted && refusal.reason == "BACKLOG_FULL" && refusal.disposition == .notExecuted)
            #expect((refusal.retryDelay ?? .zero) > .zero)
            #expect(try shop.count(CollectionName.orders, Document { $0.append("_id", OrderID.make(identity: "tester", key: "k\(number)")) }) == 0)
            // The first order again, as it is; with other content; and beside a new one in the same batch.
            let replay = try await orders.submitOrder(.sample("first", [("a", 1)]))
            #expect(replay.replayed && replay.order == first.order)
            let reused = await failure { () throws(RPCError) in try await orders.submitOrder(.sample("first", [("a", 2)])) }
            #expect(reused?.reason == "IDEMPOTENCY_KEY_REUSED")
            var check = Orders.SubmitOrderRequest.sample("new", [("a", 1)])
            check.validateOnly = true
            let request = check
            #expect(try await orders.submitOrder(request).order?.lines.count == 1)
            let foreign = try await shop.withClient("bob") { _, bobs in
                await failure { () throws(RPCError) in try await bobs.submitOrder(.sample("first", [("a", 1)])) }
            }
            #expect(foreign?.reason == "BACKLOG_FULL")

            let channel = try shop.channel("operator")
            defer { channel.close() }
            let gauges = try await Runtime.RuntimeService.Client(channel).stats(.init()).serviceGauges
            #expect((gauges["orders_waiting"] ?? 0) >= Limits.minBacklog && gauges["orders_waiting_limit"] == Limits.minBacklog)
            #expect((gauges["orders_refused_by_backlog"] ?? 0) >= 2)

            try patient.withClient { client throws(MongoError) in
                for start in stride(from: 0, to: Int(Limits.minBacklog), by: 5000) {
                    let fillers = Document { filter in
                        filter.document("_id") { $0.append("$in", (start..<start + 5000).map(String.init)) }
                    }
                    _ = try client.collection(CollectionName.orders, in: database).deleteMany(fillers)
                }
            }
            try lease.release()
            #expect(try await orders.settled(try #require(first.order?.id)).state == .rejected)
            let late = try await eventually {
                do throws(RPCError) {
                    return try await orders.submitOrder(.sample("k\(number)", [("a", 1)])).order
                } catch {
                    #expect(error.reason == "BACKLOG_FULL")
                    return nil
                }
            }
            #expect(try await orders.settled(late.id).state == .rejected)
            try await eventually { shop.shop.gauges["orders_waiting"] == 0 }
        }
    }
}
