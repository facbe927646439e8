import ProtoShop
import Protobuf
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

@Suite("Completions", .serialized)
struct NotifierTests {
    /// Submits orders and waits until they are settled.
    private func order(_ keys: [String], _ orders: Orders.OrderService.Client) async throws {
        for key in keys {
            _ = try await orders.settled(try #require(try await orders.submitOrder(.sample(key, [("a", 1)])).order?.id))
        }
    }

    /// Reads `count` events of a membership.
    private func events(_ membership: Orders.SubscribeResponse, _ count: Int) async throws -> [Orders.Completion] {
        let stream = try EventStream(endpoint: membership.endpoint, memberID: membership.memberId, token: membership.token)
        defer { stream.close() }
        var completions: [Orders.Completion] = []
        for await event in stream {
            let completion = try Orders.Completion(serializedBytes: event.payload)
            #expect(completion.sequence == event.sequence)
            completions.append(completion)
            if completions.count == count { break }
        }
        return completions
    }

    @Test("are pushed in order, to their own submitter or to whoever takes all, and equal the stored result")
    func filters() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient("alice") { catalog, alice in
            _ = try await catalog.importProducts(.init(products: [.sample("a", cents: 250, stock: 5)]))
            let mine = try await alice.subscribe(.init(group: "mine", filter: .mine))
            let all = try await alice.subscribe(.init(group: "all", filter: .all))
            try await shop.withClient("bob") { _, bob in
                for round in 0..<3 {
                    try await order(["a\(round)"], alice)
                    try await order(["b\(round)"], bob)
                }
            }
            let own = try await events(mine, 3)
            #expect(own.map(\.idempotencyKey) == ["a0", "a1", "a2"])
            #expect(own.map(\.sequence) == [1, 3, 5])
            let everything = try await events(all, 6)
            #expect(everything.map(\.sequence) == Array(1...6))
            #expect(everything.map(\.submitter) == ["alice", "bob", "alice", "bob", "alice", "bob"])
            #expect(everything.last?.rejectReason == .outOfStock)
            for completion in own {
                let stored = try await alice.getOrder(.init(id: completion.orderId)).order
                #expect(stored?.total == completion.total)
                #expect(stored?.state == completion.state)
                #expect(stored?.finalTime == completion.finalTime)
            }
        }
    }

    @Test("what was not acknowledged comes again to the next member, also at another server")
    func redelivery() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        let other = try RunningShop(database: shop.database)
        defer { other.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            let first = try await orders.subscribe(.init(group: "g"))
            #expect(first.ackedSequence == 0)
            try await order(["k1", "k2", "k3", "k4"], orders)
            #expect(try await events(first, 4).map(\.sequence) == [1, 2, 3, 4])
            // 1 and 3: the mark moves to 1 only.
            let low = try await orders.ackCompletions(.init(group: "g", memberId: first.memberId, sequences: [3, 1])).ackedSequence
            #expect(low == 1)
            let second = try await orders.subscribe(.init(group: "g"))
            #expect(second.ackedSequence == 1)
            #expect(try await events(second, 3).map(\.sequence) == [2, 3, 4])
            let stale = await failure { () throws(RPCError) in
                try await orders.ackCompletions(.init(group: "g", memberId: first.memberId, sequences: [2]))
            }
            #expect(stale?.reason == "MEMBER_UNKNOWN")
            _ = try await orders.ackCompletions(.init(group: "g", memberId: second.memberId, sequences: [2]))
            try await other.withClient { _, elsewhere in
                let third = try await elsewhere.subscribe(.init(group: "g"))
                #expect(third.ackedSequence == 2)
                #expect(try await events(third, 2).map(\.sequence) == [3, 4])
                // The first server learns that the group has moved.
                try await eventually {
                    await failure { () throws(RPCError) in
                        try await orders.ackCompletions(.init(group: "g", memberId: second.memberId))
                    }?.reason == "MEMBER_UNKNOWN"
                }
                let end = try await elsewhere.ackCompletions(
                    .init(group: "g", memberId: third.memberId, sequences: [4, 3])).ackedSequence
                #expect(end == 4)
            }
        }
    }

    @Test("a group starts where it is told, once, and keeps its filter")
    func groups() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            try await order(["k1", "k2", "k3"], orders)
            let late = try await orders.subscribe(.init(group: "late", afterSequence: -1))
            #expect(late.ackedSequence == 3)
            let middle = try await orders.subscribe(.init(group: "middle", filter: .all, afterSequence: 2))
            #expect(try await events(middle, 1).map(\.sequence) == [3])
            #expect(try await orders.subscribe(.init(group: "middle", filter: .all, afterSequence: 0)).ackedSequence == 2)
            let other = await failure { () throws(RPCError) in try await orders.subscribe(.init(group: "middle", filter: .mine)) }
            #expect(other?.code == .failedPrecondition)
            #expect(other?.reason == "GROUP_FILTER_FIXED")
            for (request, field) in [
                (Orders.SubscribeRequest(group: "No"), "group"), (.init(group: ""), "group"),
                (.init(group: "g", afterSequence: -2), "after_sequence"), (.init(group: "g", filter: .unrecognized(999)), "filter"),
            ] {
                let error = await failure { () throws(RPCError) in try await orders.subscribe(request) }
                #expect(error?.fieldViolations.map(\.field) == [field])
            }
        }
    }

    @Test("can be listed from any number on, in pages, one's own or all where that is allowed")
    func list() async throws {
        let shop = try RunningShop(configuration: ShopConfiguration(allowsAllCompletions: false))
        defer { shop.stop() }
        let open = try RunningShop(database: shop.database)
        defer { open.stop() }
        try await shop.withClient("alice") { catalog, alice in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            try await shop.withClient("bob") { _, bob in
                for round in 0..<5 {
                    try await order(["a\(round)"], alice)
                    try await order(["b\(round)"], bob)
                }
            }
            let first = try await alice.listCompletions(.init(maxCount: 3))
            #expect(first.completions.map(\.idempotencyKey) == ["a0", "a1", "a2"])
            #expect(first.lastSequence == 5)
            let rest = try await alice.listCompletions(.init(afterSequence: first.lastSequence))
            #expect(rest.completions.map(\.idempotencyKey) == ["a3", "a4"])
            #expect(rest.lastSequence == 10)
            let end = try await alice.listCompletions(.init(afterSequence: 10))
            #expect(end.completions.isEmpty)
            #expect(end.lastSequence == 10)
            for filter in [Orders.CompletionFilter.all] {
                let error = await failure { () throws(RPCError) in try await alice.listCompletions(.init(filter: filter)) }
                #expect(error?.code == .permissionDenied)
                let group = await failure { () throws(RPCError) in try await alice.subscribe(.init(group: "g", filter: filter)) }
                #expect(group?.reason == "ALL_COMPLETIONS_NOT_ALLOWED")
            }
            let invalid = await failure { () throws(RPCError) in
                try await alice.listCompletions(.init(afterSequence: -1, maxCount: -1))
            }
            #expect(invalid?.fieldViolations.map(\.field) == ["after_sequence", "max_count"])
        }
        try await open.withClient("carol") { _, carol in
            var sequences: [Int64] = []
            while sequences.count < 10 {
                sequences += try await carol.listCompletions(
                    .init(afterSequence: sequences.last ?? 0, filter: .all, maxCount: 4)).completions.map(\.sequence)
            }
            #expect(sequences == Array(1...10))
        }
    }

    @Test("many at once arrive without a gap, though batches are read and acknowledged in pieces")
    func many() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", stock: 100_000)]))
            let membership = try await orders.subscribe(.init(group: "g", filter: .all))
            let stream = try EventStream(
                endpoint: membership.endpoint, memberID: membership.memberId, token: membership.token)
            defer { stream.close() }
            // More than the window of unacknowledged events.
            let total = Int64(Limits.notificationWindow + 1500)
            let submitted = Task {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for index in 0..<total {
                        group.addTask {
                            _ = try await orders.submitOrder(
                                .sample("k\(index)", [("a", 1)]), options: CallOptions(timeout: .seconds(60)))
                        }
                    }
                    try await group.waitForAll()
                }
            }
            var last: Int64 = 0
            for await event in stream {
                #expect(event.sequence == last + 1)
                #expect(event.previous == last)
                last = event.sequence
                if last % 500 == 0 || last == total {
                    _ = try await orders.ackCompletions(
                        .init(group: "g", memberId: membership.memberId, sequences: Array(max(1, last - 499)...last)))
                }
                if last == total { break }
            }
            try await submitted.value
            #expect(try await orders.subscribe(.init(group: "g", filter: .all)).ackedSequence == total)
        }
    }
}
