import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

@Suite("Bad orders", .serialized)
struct BadOrderTests {
    /// What becomes of a request that is wrong in some way.
    enum End: Sendable {
        /// Refused: the fields that break their rules.
        case refused([String])
        /// Refused by a rule of its own.
        case failed(StatusCode, String)
        /// Accepted, as its form is right, and then rejected.
        case rejected(Orders.RejectReason)
        /// Nothing is wrong with it at all.
        case fulfilled([Int32])
    }

    static let rows: [(name: String, request: Orders.SubmitOrderRequest, end: End)] = [
        ("no lines", .sample("k", []), .refused(["lines"])),
        ("101 lines", .sample("k", (0..<101).map { ("p\($0)", 1) }), .refused(["lines"])),
        ("101 lines of one product", .sample("k", Array(repeating: ("a", 1), count: 101)), .refused(["lines"])),
        ("100 lines", .sample("most", (0..<100).map { ("p\($0)", 1) }), .rejected(.unknownProduct)),
        ("an unknown product", .sample("unknown", [("a", 1), ("none", 1)]), .rejected(.unknownProduct)),
        ("the same product twice", .sample("twice", [("a", 1), ("b", 1), ("a", 2)]), .fulfilled([3, 1])),
        ("the same product twice, too many together", .sample("k", [("a", 10_000), ("a", 1)]), .refused(["lines[1].quantity"])),
        ("no key", .sample("", [("a", 1)]), .refused(["idempotency_key"])),
        ("a key too long", .sample(String(repeating: "k", count: 65), [("a", 1)]), .refused(["idempotency_key"])),
        ("a key with another body", .sample("taken", [("a", 2)]), .failed(.alreadyExists, "IDEMPOTENCY_KEY_REUSED")),
        ("a key with another expected total", .sample("taken", [("a", 1)], expectedCents: 100), .failed(.alreadyExists, "IDEMPOTENCY_KEY_REUSED")),
        ("a key of another client", .sample("bobs", [("a", 1)]), .fulfilled([1])),
        ("quantity 0", .sample("k", [("a", 0)]), .refused(["lines[0].quantity"])),
        ("quantity -1", .sample("k", [("a", -1)]), .refused(["lines[0].quantity"])),
        ("quantity 10,001", .sample("k", [("a", 10_001)]), .refused(["lines[0].quantity"])),
        ("the largest int32", .sample("k", [("a", .max), ("a", .max)]), .refused(["lines[0].quantity"])),
        ("more than there is", .sample("more", [("a", 10_000)]), .rejected(.outOfStock)),
        ("another total", .sample("total", [("a", 1)], expectedCents: 101), .rejected(.totalMismatch)),
        ("two currencies", .sample("mixed", [("a", 1), ("euro", 1)]), .rejected(.mixedCurrencies)),
        ("a sum that overflows", .sample("dear", [("dear", 5)]), .rejected(.totalOverflow)),
        ("a negative total", .sample("k", [("a", 1)], expectedCents: -1), .refused(["expected_total"])),
        ("no product", .sample("k", [("", 1)]), .refused(["lines[0].product_id"])),
        ("all at once", .sample("", [("", 0)], expectedCents: -1), .refused(["idempotency_key", "lines[0].product_id", "lines[0].quantity", "expected_total"])),
    ]

    @Test("each is refused by the name of what is wrong, or rejected for its reason; a good one is fulfilled after each")
    func table() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient("bob") { catalog, orders in
            _ = try await catalog.importProducts(
                .init(products: [.sample("a"), .sample("b"), .sample("euro", currency: "EUR"), .sample("dear", cents: .max / 4), .sample("good")]))
            _ = try await orders.settled(try #require(try await orders.submitOrder(.sample("bobs", [("b", 1)])).order?.id))
        }
        try await shop.withClient("alice") { catalog, orders in
            _ = try await orders.settled(try #require(try await orders.submitOrder(.sample("taken", [("a", 1)])).order?.id))
            for (number, (name, request, end)) in Self.rows.enumerated() {
                switch end {
                case .refused(let fields):
                    let error = await failure { () throws(RPCError) in try await orders.submitOrder(request) }
                    #expect(error?.code == .invalidArgument && error?.reason == "INVALID_FIELD" && error?.disposition == .notExecuted, "\(name)")
                    #expect(error?.fieldViolations.map(\.field) == fields, "\(name)")
                case .failed(let code, let reason):
                    let error = await failure { () throws(RPCError) in try await orders.submitOrder(request) }
                    #expect(error?.code == code && error?.reason == reason, "\(name)")
                case .rejected(let reason):
                    let order = try await orders.settled(try #require(try await orders.submitOrder(request).order?.id))
                    #expect(order.state == .rejected && order.rejectReason == reason, "\(name)")
                case .fulfilled(let quantities):
                    let order = try await orders.settled(try #require(try await orders.submitOrder(request).order?.id))
                    #expect(order.state == .fulfilled && order.lines.map(\.quantity) == quantities, "\(name)")
                }
                let good = try await orders.settled(try #require(try await orders.submitOrder(.sample("good-\(number)", [("good", 1)])).order?.id))
                #expect(good.state == .fulfilled, "after \(name)")
            }
            // Nothing of what was refused is there, and stock moved for what was fulfilled only.
            #expect(try shop.count(CollectionName.orders, Document { $0.append("_id", OrderID.make(identity: "alice", key: "k")) }) == 0)
            #expect(try await catalog.getProduct(.init(id: "good")).product?.stock == 1000 - Int64(Self.rows.count))
            #expect(try await catalog.getProduct(.init(id: "a")).product?.stock == 1000 - 1 - 3 - 1)
        }
    }

    @Test("a completion says of an order what GetOrder, ListOrders and WaitOrder say")
    func completions() async throws {
        let database = TestMongo.freshDatabase().name
        let lease = try HeldLease(database: database)
        let shop = try RunningShop(database: database)
        defer { shop.stop() }
        try await shop.withClient("alice") { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", cents: 99)]))
            var ids: [String] = []
            for request in [.sample("1", [("a", 2)]), .sample("2", [("none", 1)]), .sample("3", [("a", 1)], expectedCents: 1), .sample("4", [("a", 1)])] as [Orders.SubmitOrderRequest] {
                ids.append(try #require(try await orders.submitOrder(request).order?.id))
            }
            let last = ids[3]
            async let cancelled = orders.cancelOrder(.init(id: last), options: CallOptions(timeout: .seconds(30)))
            try await eventually { try shop.count(CollectionName.orders, Document { $0.append("cancel", true) }) == 1 }
            try lease.release()
            _ = try await cancelled
            for id in ids { _ = try await orders.settled(id) }
            let completions = try await orders.listCompletions(.init()).completions
            #expect(completions.map(\.sequence) == [1, 2, 3, 4])
            #expect(Set(completions.map(\.state)) == [.fulfilled, .rejected, .cancelled])
            let listed = try await orders.listOrders(.init()).orders
            for completion in completions {
                let order = try #require(try await orders.getOrder(.init(id: completion.orderId)).order)
                let told = Orders.Completion(
                    sequence: order.sequence, orderId: order.id, idempotencyKey: order.idempotencyKey, state: order.state, total: order.total,
                    rejectReason: order.rejectReason, rejectDetail: order.rejectDetail, finalTime: order.finalTime, submitter: "alice")
                #expect(completion == told)
                #expect(listed.contains(order))
                #expect(try await orders.waitOrder(.init(id: order.id)).order == order)
            }
        }
    }
}
