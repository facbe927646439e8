import MongoDB
import ProtoRuntime
import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("Lists of orders", .serialized)
struct OrderListTests {
    /// A shop in which nothing is decided, with orders as given.
    private func withOrders(
        _ records: [OrderRecord], _ body: (RunningShop, Orders.OrderService.Client) async throws -> Void
    ) async throws {
        let database = TestMongo.freshDatabase().name
        let lease = try HeldLease(database: database)
        let shop = try RunningShop(database: database)
        defer { shop.stop() }
        try shop.inDatabase { client throws(MongoError) in
            for start in stride(from: 0, to: records.count, by: 1000) {
                let part = Array(records[start..<min(start + 1000, records.count)])
                try OrderStore(database: database).insert(part, client, before: .after(.seconds(60))).checked()
            }
        }
        try await shop.withClient("alice") { _, orders in try await body(shop, orders) }
        withExtendedLifetime(lease) {}
    }

    /// The order of a key, accepted so many milliseconds after a fixed time.
    private func order(
        _ key: String, of identity: String = "alice", at milliseconds: Int64, in state: Orders.OrderState = .accepted
    ) throws -> OrderRecord {
        var record = OrderRecord(
            try OrderForm(.sample(key, [("a", 1)])), identity: identity, traceparent: nil,
            acceptedAt: BSONDate(millisecondsSince1970: Self.epoch + milliseconds))
        record.state = state
        return record
    }

    private static let epoch: Int64 = 1_700_000_000_000

    private func time(_ milliseconds: Int64, nanos: Int32 = 0) -> WellKnown.Timestamp {
        var time = BSONDate(millisecondsSince1970: Self.epoch + milliseconds).timestamp
        time.nanos += nanos
        return time
    }

    /// All keys of a list, page by page.
    private func walk(
        _ request: Orders.ListOrdersRequest, _ orders: Orders.OrderService.Client, pages: inout Int
    ) async throws -> [String] {
        var (request, keys) = (request, [String]())
        repeat {
            let page = try await orders.listOrders(request)
            #expect(page.orders.count <= max(Int(request.pageSize), Limits.defaultPageSize))
            keys += page.orders.map(\.idempotencyKey)
            request.pageToken = page.nextPageToken
            pages += 1
        } while !request.pageToken.isEmpty && pages < 10_000
        return keys
    }

    @Test("every page size, state and range shows each of the caller's orders once, newest first, however many have the same time", arguments: Seeds.fresh(2, long: 50))
    func walks(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let states: [Orders.OrderState] = [.accepted, .fulfilled, .rejected, .cancelled]
        let records = try (0..<400).map { index in
            try order(
                "k\(index)", of: Int.random(in: 0..<4, using: &random) == 0 ? "bob" : "alice", at: Int64.random(in: 0..<40, using: &random),
                in: states.randomElement(using: &random) ?? .accepted)
        }
        let mine = records.filter { $0.identity == "alice" }.sorted { ($1.acceptedAt, $1.id) < ($0.acceptedAt, $0.id) }
        var requests: [Orders.ListOrdersRequest] = []
        for _ in 0..<25 {
            let times = [Int64.random(in: -5..<45, using: &random), .random(in: -5..<45, using: &random)].sorted()
            requests.append(
                .init(
                    state: ([.unspecified] + states).randomElement(using: &random) ?? .unspecified,
                    acceptedAfter: Bool.random(using: &random) ? time(times[0]) : nil, acceptedBefore: Bool.random(using: &random) ? time(times[1]) : nil,
                    pageSize: [1, 2, 7, 50, 1000].randomElement(using: &random) ?? 0))
        }
        let asked = requests
        try await withOrders(records) { _, orders in
            for request in asked {
                let wanted = mine.filter { (record: OrderRecord) -> Bool in
                    let time = record.acceptedAt.timestamp
                    if let after = request.acceptedAfter, !time.isFrom(after) { return false }
                    if let before = request.acceptedBefore, time.isFrom(before) { return false }
                    return request.state == .unspecified || record.state == request.state
                }
                var pages = 0
                let keys = try await walk(request, orders, pages: &pages)
                #expect(keys == wanted.map(\.key), "\(request)")
            }
        }
    }

    @Test("times between milliseconds bound a list as they say")
    func bounds() async throws {
        try await withOrders([try order("k", at: 5)]) { _, orders in
            for (after, before, isIn) in [
                (time(5), nil, true), (time(5, nanos: 1), nil, false), (time(4, nanos: 999_999), nil, true), (nil, time(5), false),
                (nil, time(5, nanos: 1), true), (nil, time(4, nanos: 999_999), false), (time(5), time(5), false), (time(5), time(6), true),
            ] as [(WellKnown.Timestamp?, WellKnown.Timestamp?, Bool)] {
                let page = try await orders.listOrders(.init(acceptedAfter: after, acceptedBefore: before))
                #expect(page.orders.map(\.idempotencyKey) == (isIn ? ["k"] : []), "\(String(describing: after)) \(String(describing: before))")
            }
        }
    }

    @Test("orders show their results, and are what GetOrder says of them")
    func results() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient("alice") { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", stock: 30)]))
            for index in 0..<20 {
                let id = try #require(try await orders.submitOrder(.sample("k\(index)", [("a", 2)])).order?.id)
                if index % 3 == 0 { _ = try await orders.settled(id) }
            }
            let page = try await eventually {
                let page = try await orders.listOrders(.init(pageSize: 20))
                return page.orders.allSatisfy { $0.sequence > 0 } ? page : nil
            }
            #expect(page.orders.count == 20 && page.nextPageToken.isEmpty)
            for order in page.orders { #expect(try await orders.getOrder(.init(id: order.id)).order == order) }
            let rejected = try await orders.listOrders(.init(state: .rejected)).orders
            #expect(rejected.count == 5 && rejected.allSatisfy { $0.rejectReason == .outOfStock })
            #expect(try await orders.listOrders(.init(state: .fulfilled, pageSize: 100)).orders.count == 15)
            #expect(try await orders.listOrders(.init(state: .accepted)).orders.isEmpty)
        }
    }

    @Test("a page examines what it shows and a little more; one of a rare state ends after as many orders as it may pass over")
    func cost() async throws {
        // All at one time, as a batch accepts them, and before it some others. Every thousandth is rejected.
        var records: [OrderRecord] = []
        for index in 0..<5000 {
            let state = index % 1000 == 999 ? Orders.OrderState.rejected : .fulfilled
            records.append(try order("k\(index)", at: index < 3000 ? 7 : Int64(index % 5), in: state))
        }
        let strangers = try (0..<2000).map { try order("k\($0)", of: "bob", at: Int64($0 % 10)) }
        try await withOrders(records + strangers) { shop, orders in
            typealias Request = Orders.ListOrdersRequest
            let plain = [Request(), Request(pageSize: 100), Request(acceptedAfter: time(3), acceptedBefore: time(8), pageSize: 1000)]
            for request in plain + [Request(state: .fulfilled, pageSize: 50)] {
                var request = request
                for _ in 0..<4 {
                    let (page, queries) = try await shop.costs(in: CollectionName.orders, by: "by_identity") { try await orders.listOrders(request) }
                    let rows = Int64(page.orders.count)
                    #expect(queries.count >= 1 && queries.areServedByIndex, "\(queries)")
                    // The one beyond the page, the end of each of two ranges, and orders in another state.
                    let others: Int64 = request.state == .unspecified ? 0 : Int64(Limits.ordersReadAtOnce)
                    #expect(queries.documents <= rows + 1 + others && queries.keys <= rows + 3 + others, "\(request): \(queries)")
                    request.pageToken = page.nextPageToken
                }
            }
            let (rare, queries) = try await shop.costs(in: CollectionName.orders, by: "by_identity") {
                try await orders.listOrders(.init(state: .rejected))
            }
            #expect((1...3).contains(rare.orders.count) && !rare.nextPageToken.isEmpty)
            #expect(queries.areServedByIndex)
            #expect(queries.documents <= Int64(Limits.maxOrdersPassedOver + Limits.ordersReadAtOnce + 10), "\(queries)")
            #expect(queries.keys <= Int64(Limits.maxOrdersPassedOver + Limits.ordersReadAtOnce + 30), "\(queries)")
            var pages = 0
            let found = try await walk(.init(state: .rejected), orders, pages: &pages)
            #expect(found.count == 5)
            #expect((2...4).contains(pages))
        }
    }

    @Test("a token is good for its list and its caller only, and a size, state or time that makes no sense is refused by its name")
    func requests() async throws {
        try await withOrders(try (0..<5).map { try order("k\($0)", at: Int64($0)) }) { shop, orders in
            let first = Orders.ListOrdersRequest(state: .accepted, acceptedAfter: time(0), acceptedBefore: time(9), pageSize: 2)
            let token = try await orders.listOrders(first).nextPageToken
            #expect(!token.isEmpty)
            func reason(_ request: Orders.ListOrdersRequest, _ client: Orders.OrderService.Client) async -> String? {
                var request = request
                request.pageToken = token
                let asked = request
                return await failure { () throws(RPCError) in try await client.listOrders(asked) }?.reason
            }
            #expect(await reason(first, orders) == nil)
            var others = [first, first, first, first]
            others[0].state = .unspecified
            others[1].acceptedAfter = time(1)
            others[2].acceptedBefore = nil
            others[3].acceptedAfter = nil
            for other in others { #expect(await reason(other, orders) == "PAGE_TOKEN_INVALID", "\(other)") }
            #expect(await reason(first, orders) == nil, "another size is no other list")
            try await shop.withClient("alic") { catalog, strangers in
                #expect(await reason(first, strangers) == "PAGE_TOKEN_INVALID")
                let parked = await failure { () throws(RPCError) in try await strangers.listParkedOrders(.init(pageToken: token)) }
                #expect(parked?.reason == "PAGE_TOKEN_INVALID")
                let product = await failure { () throws(RPCError) in try await catalog.listProducts(.init(pageToken: token)) }
                #expect(product?.reason == "PAGE_TOKEN_INVALID")
            }
            for text in HostileInputTests.texts + [String(token.dropLast()), token + "A", String(repeating: "A", count: 3000)] {
                let error = await failure { () throws(RPCError) in try await orders.listOrders(.init(pageToken: text)) }
                #expect(error?.code == .invalidArgument && error?.reason == "PAGE_TOKEN_INVALID", "\(text.prefix(20).debugDescription)")
            }
            let table: [(Orders.ListOrdersRequest, [String])] = [
                (.init(pageSize: -1), ["page_size"]), (.init(pageSize: .min), ["page_size"]), (.init(state: .unrecognized(999)), ["state"]),
                (.init(acceptedAfter: .init(seconds: .max)), ["accepted_after"]), (.init(acceptedBefore: .init(nanos: -1)), ["accepted_before"]),
                (.init(acceptedAfter: .init(nanos: 1_000_000_000)), ["accepted_after"]), (.init(acceptedAfter: time(2), acceptedBefore: time(1)), ["accepted_before"]),
                (.init(state: .unrecognized(-1), acceptedAfter: .init(seconds: .min), pageSize: -1), ["state", "accepted_after", "page_size"]),
            ]
            for (request, fields) in table {
                let error = await failure { () throws(RPCError) in try await orders.listOrders(request) }
                #expect(error?.fieldViolations.map(\.field) == fields, "\(request)")
            }
            #expect(try await orders.listOrders(.init(pageSize: .max)).orders.count == 5)
        }
    }
}

extension WellKnown.Timestamp {
    fileprivate func isFrom(_ other: WellKnown.Timestamp) -> Bool { (seconds, nanos) >= (other.seconds, other.nanos) }
}
