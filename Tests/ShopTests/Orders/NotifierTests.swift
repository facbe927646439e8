import MongoDB
import ProtoShop
import Protobuf
import RPC
import RPCClient
import Synchronization
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
        let stream = try EventStream(membership)
        defer { stream.close() }
        return try await completions(count, of: stream)
    }

    private func completions(_ count: Int, of stream: EventStream) async throws -> [Orders.Completion] {
        var completions: [Orders.Completion] = []
        for await event in stream where !event.isHeartbeat {
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
            let stream = try EventStream(first)
            #expect(try await completions(4, of: stream).map(\.sequence) == [1, 2, 3, 4])
            // 1 and 3: the mark moves to 1 only.
            let low = try await orders.ackCompletions(.init(group: "g", memberId: first.memberId, sequences: [3, 1])).ackedSequence
            #expect(low == 1)
            let second = try await orders.subscribe(.init(group: "g"))
            #expect(second.ackedSequence == 1)
            let secondStream = try EventStream(second)
            // The connection of a member is its life.
            stream.close()
            #expect(try await completions(2, of: secondStream).map(\.sequence) == [2, 4])
            let stale = await failure { () throws(RPCError) in
                try await orders.ackCompletions(.init(group: "g", memberId: first.memberId, sequences: [2]))
            }
            #expect(stale?.reason == "MEMBER_UNKNOWN")
            // It came through the first membership, as well.
            _ = try await orders.ackCompletions(.init(group: "g", memberId: second.memberId, sequences: [2]))
            try await other.withClient { _, elsewhere in
                // Which is alive here.
                let refused = await failure { () throws(RPCError) in try await elsewhere.subscribe(.init(group: "g")) }
                #expect(refused?.reason == "GROUP_ELSEWHERE" && refused?.code == .failedPrecondition)
                secondStream.close()
                let third: Orders.SubscribeResponse = try await eventually {
                    do throws(RPCError) { return try await elsewhere.subscribe(.init(group: "g")) } catch { return nil }
                }
                // 3 was acknowledged above the mark: only its server knew.
                #expect(third.ackedSequence == 3)
                #expect(try await events(third, 1).map(\.sequence) == [4])
                #expect(try await elsewhere.ackCompletions(.init(group: "g", memberId: third.memberId, sequences: [4])).ackedSequence == 4)
            }
        }
    }

    @Test("a server that takes a group whose holder does not renew it has it alone")
    func lostTerm() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            let member = try await orders.subscribe(.init(group: "g"))
            let stream = try EventStream(member)
            defer { stream.close() }
            // As another server does it, once the term has run out.
            let groups = GroupStore(database: shop.database)
            let group = SubscriptionGroup(identity: "tester", name: "g", filter: .mine)
            func hold(_ server: String) throws -> String {
                let hold = try shop.inDatabase { client throws(MongoError) in
                    try groups.hold(group, term: server, server: server, start: 0, client, before: .after(.seconds(5)))
                }
                switch hold {
                case .held: return "held"
                case .elsewhere(let server): return server
                case .otherFilter: return "other filter"
                }
            }
            #expect(try hold("thief") == shop.appName)
            try shop.inDatabase { client throws(MongoError) in
                let update = Update { $0.document("$set") { $0.append("seen", BSONDate(millisecondsSince1970: 0)) } }
                try client.collection("groups", in: shop.database).updateOne(Document { $0.append("_id", group.id) }, update)
            }
            // The holder may have been quicker to renew it.
            if try hold("thief") == "held" {
                try await eventually {
                    await failure { () throws(RPCError) in
                        try await orders.ackCompletions(.init(group: "g", memberId: member.memberId))
                    }?.reason == "MEMBER_UNKNOWN"
                }
                #expect(try hold("another") == "thief")
            }
        }
    }

    @Test("of several members each completion goes to one; who falls silent or is slow holds up nobody else")
    func severalMembers() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", stock: 100_000)]))
            var members: [Orders.SubscribeResponse] = []
            for _ in 0..<3 { members.append(try await orders.subscribe(.init(group: "g"))) }
            #expect(Set(members.map(\.endpoint)).count == 3 && Set(members.map(\.token)).count == 3)
            let streams = try members.map(EventStream.init)
            // All are there before anything is to be shared out.
            for stream in streams { for await event in stream where event.isHeartbeat { break } }
            let seen = [Seen(), Seen()]
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                // The third reads nothing and says nothing; the others acknowledge, and show once a second that they live.
                for (index, seen) in seen.enumerated() {
                    let (stream, id) = (streams[index], members[index].memberId)
                    tasks.addTask {
                        for await event in stream {
                            if !event.isHeartbeat { seen.insert(event.sequence) }
                            _ = try await orders.ackCompletions(
                                .init(group: "g", memberId: id, sequences: event.isHeartbeat ? [] : [event.sequence]))
                        }
                    }
                }
                try await order((0..<30).map { "k\($0)" }, orders)
                try await eventually { seen[0].numbers.count + seen[1].numbers.count >= 20 }
                #expect(!seen[0].numbers.isEmpty && !seen[1].numbers.isEmpty, "each has its share")
                // What the third had comes to them once it has been silent for long enough.
                let end: Int64 = try await eventually {
                    let low = try await orders.ackCompletions(.init(group: "g", memberId: members[0].memberId)).ackedSequence
                    return low == 30 ? low : nil
                }
                #expect(end == 30 && seen[0].numbers.union(seen[1].numbers) == Set(1...30))
                let silent = await failure { () throws(RPCError) in
                    try await orders.ackCompletions(.init(group: "g", memberId: members[2].memberId))
                }
                #expect(silent?.reason == "MEMBER_UNKNOWN")
                for stream in streams { stream.close() }
                try await tasks.waitForAll()
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

    @Test("what retention has removed is asked for in vain, by lists and groups, unless they say that they can do without")
    func expired() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        func remove(through last: Int64) throws {
            try shop.inDatabase { client throws(MongoError) in
                let old = Document { $0.document("_id") { $0.append("$lte", last) } }
                try client.collection("settlements", in: shop.database).deleteMany(old)
            }
        }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            try await order(["k1", "k2", "k3", "k4"], orders)
            let early = try await orders.subscribe(.init(group: "early"))
            #expect(try await events(early, 4).count == 4)
            // While a server has the group, it has also what it read for it.
            try await eventually {
                try shop.count("groups", Document { $0.document("term") { $0.append("$exists", true) } }) == 0
            }
            try remove(through: 2)
            func expectExpired(_ after: Int64, of first: Int64, _ call: () async throws(RPCError) -> some Sendable) async {
                let error = await failure(of: call)
                #expect(error?.code == .outOfRange && error?.reason == "COMPLETIONS_EXPIRED" && error?.disposition == .notExecuted)
                #expect(error?.metadata == ["first_sequence": "\(first)"])
            }
            for after in [Int64(0), 1] {
                await expectExpired(after, of: 3) { () throws(RPCError) in
                    try await orders.listCompletions(.init(afterSequence: after))
                }
                await expectExpired(after, of: 3) { () throws(RPCError) in
                    try await orders.subscribe(.init(group: "new", afterSequence: after))
                }
            }
            await expectExpired(0, of: 3) { () throws(RPCError) in try await orders.subscribe(.init(group: "early")) }
            #expect(try await orders.listCompletions(.init(afterSequence: 2)).completions.map(\.sequence) == [3, 4])
            let skipped = try await orders.listCompletions(.init(afterSequence: 0, maxCount: 1, skipExpired: true))
            #expect(skipped.completions.map(\.sequence) == [3] && skipped.lastSequence == 3)
            let again = try await orders.subscribe(.init(group: "early", skipExpired: true))
            #expect(again.ackedSequence == 2)
            #expect(try await events(again, 2).map(\.sequence) == [3, 4])
            // What was refused has not made a group.
            let new = try await orders.subscribe(.init(group: "new", afterSequence: -1))
            #expect(new.ackedSequence == 4)
            // Nothing is left, and numbers go on from where they were.
            try remove(through: 4)
            await expectExpired(3, of: 5) { () throws(RPCError) in try await orders.listCompletions(.init(afterSequence: 3)) }
            #expect(try await orders.listCompletions(.init(afterSequence: 1, skipExpired: true)).lastSequence == 4)
            #expect(try await orders.subscribe(.init(group: "newest", afterSequence: -1)).ackedSequence == 4)
            #expect(try await orders.listCompletions(.init(afterSequence: 4)).lastSequence == 4)
        }
    }

    @Test("many at once arrive without a gap, though batches are read and acknowledged in pieces")
    func many() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a", stock: 100_000)]))
            let membership = try await orders.subscribe(.init(group: "g", filter: .all))
            let stream = try EventStream(membership)
            defer { stream.close() }
            // More than the window of unacknowledged events.
            let total = Int64(Limits.notificationWindow + 4500)
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
            for await event in stream where !event.isHeartbeat {
                #expect(event.sequence == last + 1)
                #expect(event.previous == last && !event.isAfterLoss)
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

/// What a member got.
private final class Seen: Sendable {
    private let storage = Mutex<Set<Int64>>([])

    var numbers: Set<Int64> { storage.withLock { $0 } }
    func insert(_ sequence: Int64) { storage.withLock { _ = $0.insert(sequence) } }
}

extension EventStream {
    /// The channel of a membership.
    fileprivate convenience init(_ membership: Orders.SubscribeResponse) throws {
        try self.init(endpoint: membership.endpoint, memberID: membership.memberId, token: membership.token)
    }
}
