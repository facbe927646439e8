import Glibc
import ProtoShop
import RPC
import RPCClient
import ShopClient
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// Several members of one group: programs that are killed and stopped, consumers that are slow, servers that die.
    @Suite struct GroupTests {
        /// Of three `orders watch` one is killed and one is stopped. Nothing is missing in the end, nothing is foreign, and the third
        /// is not held up by them.
        @Test func watchersAreKilledAndStopped() async throws {
            try await withMongod { uri in
                try await ServerProcess.with(.external(uri: uri)) { server in
                    try await server.withChannel("shell") { mine in
                        try await server.withChannel("somebody-else") { foreign in
                            try await mine.catalog.importAll([.endless])
                            let shell = Shell(server)
                            var watchers: [ChildProcess] = []
                            for _ in 0..<3 {
                                watchers.append(try await shell.start("orders", "watch", "--group", "g", "--after", "0", "-o", "jsonl"))
                            }
                            defer { for watcher in watchers { watcher.signal(SIGKILL) } }
                            try await everyoneGetsSome(watchers, mine)

                            watchers[0].signal(SIGKILL)
                            _ = await watchers[0].ended()
                            try stopAllThreads(of: watchers[1].pid)
                            try await mine.submitAll((0..<200).map { "late-\($0)" })
                            try await foreign.submitAll((0..<50).map { "foreign-\($0)" })
                            let submitted = ContinuousClock.now
                            // The one that is left has nearly all at once: far sooner than the silence of the stopped one is noticed.
                            #expect(await watchers[2].output.eventually { Self.keys(in: $0, "late-").count >= 150 })
                            let quick = ContinuousClock.now - submitted
                            #expect(quick < .seconds(4))
                            // What the others had comes to it, too.
                            let isComplete = await watchers[2].output.eventually(within: .seconds(60)) { Self.keys(in: $0, "late-").count == 200 }
                            #expect(isComplete, "\(200 - Self.keys(in: watchers[2].output.soFar, "late-").count) are missing")
                            print("150 of 200 after \(quick), all after \(ContinuousClock.now - submitted)")

                            // Back to life it is a member again, and shares what comes.
                            watchers[1].signal(SIGCONT)
                            try await everyoneGetsSome(Array(watchers[1...]), mine)
                            #expect(watchers.allSatisfy { !$0.output.soFar.contains("foreign-") })
                            for watcher in watchers[1...] {
                                watcher.signal(SIGINT)
                                _ = await watcher.ended()
                            }
                        }
                    }
                }
            }
        }

        /// Submits until each of them has printed something new.
        private func everyoneGetsSome(_ watchers: [ChildProcess], _ channel: RPCClient.Channel) async throws {
            let counts = watchers.map { Self.keys(in: $0.output.soFar, "").count }
            let deadline = ContinuousClock.now + .seconds(60)
            while ContinuousClock.now < deadline {
                try await channel.submitAll((0..<12).map { "warm-\(UInt64.random(in: 0 ... .max))-\($0)" })
                if zip(watchers, counts).allSatisfy({ Self.keys(in: $0.output.soFar, "").count > $1 }) { return }
                try await Task.sleep(for: .milliseconds(10))
            }
            Issue.record("somebody gets nothing: \(watchers.map { Self.keys(in: $0.output.soFar, "").count })")
        }

        /// The keys that begin with `prefix` in complete lines.
        private static func keys(in output: String, _ prefix: String) -> Set<String> {
            var keys: Set<String> = []
            for match in output.matches(of: /"idempotencyKey":"([^"]*)"[^\n]*\n/) where match.1.hasPrefix(prefix) { keys.insert(String(match.1)) }
            return keys
        }

        /// A consumer that takes its time gets what it can manage, and the others what it cannot.
        @Test func aSlowConsumerHoldsUpNobody() async throws {
            try await withMongod { uri in
                try await ServerProcess.with(.external(uri: uri)) { server in
                    try await server.withChannel { channel in
                        try await channel.catalog.importAll([.endless])
                        let seen = [Consumed(), Consumed()]
                        try await withThrowingTaskGroup(of: Void.self) { tasks in
                            // A quarter of a second for each: half of 600 would take it more than a minute.
                            for (index, seen) in seen.enumerated() {
                                tasks.addTask {
                                    try await seen.consume(
                                        CompletionFeed(channel, group: "g", after: 0), pause: index == 0 ? .milliseconds(250) : .zero)
                                }
                            }
                            try await eventuallyHolds(within: .seconds(20)) {
                                try await channel.submitAll(["warm-\(UInt64.random(in: 0 ... .max))"])
                                return seen.allSatisfy { !$0.all.isEmpty }
                            }
                            let start = ContinuousClock.now
                            try await channel.submitAll((0..<600).map { "k\($0)" })
                            // Sooner than the time of what the slow one has is over: it never had much.
                            try await eventuallyHolds(within: .seconds(13)) {
                                seen[0].all.union(seen[1].all).count >= 600
                            }
                            print("all 600 after \(ContinuousClock.now - start), \(seen[0].all.count) by the slow one")
                            #expect(seen[0].all.count < 100)
                            tasks.cancelAll()
                            try await tasks.waitForAll()
                        }
                        #expect(seen[1].repeated == 0, "a feed hands out nothing twice that it was done with")
                    }
                }
            }
        }

        /// Two members in one process, orders all the time, and the server killed again and again: each completion reaches one of them, and
        /// few both.
        @Test func aGroupOutlivesItsServer() async throws {
            try await withMongod { uri in
                let endpoint = ServerProcess.freeEndpoint()
                var server = try await ServerProcess.start(.external(uri: uri), at: endpoint)
                let channel = try Channel(to: endpoint, name: "tester")
                defer { channel.close() }
                try await channel.catalog.importAll([.endless])
                let seen = [Consumed(), Consumed()]
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for seen in seen {
                        tasks.addTask { try await seen.consume(CompletionFeed(channel, group: "g", after: 0), pause: .milliseconds(10)) }
                    }
                    for round in 0..<3 {
                        try await channel.submitAll((0..<100).map { "\(round)-\($0)" })
                        // Much is on its way or in their hands, and acknowledged by nobody, when it dies.
                        try await eventuallyHolds(within: .seconds(30)) { seen[0].all.union(seen[1].all).count >= round * 100 + 60 }
                        server.process.signal(SIGKILL)
                        _ = await server.process.ended()
                        server = try await .start(.external(uri: uri), at: endpoint)
                    }
                    try await channel.submitAll((0..<100).map { "last-\($0)" })
                    let killed = ContinuousClock.now
                    try await eventuallyHolds(within: .seconds(30)) { seen[0].all.union(seen[1].all).count == 400 }
                    print("all 400 \(ContinuousClock.now - killed) after the last order; both have \(seen[0].all.intersection(seen[1].all).count)")
                    #expect(seen[0].all.union(seen[1].all) == Set(1...400))
                    #expect(seen.allSatisfy { $0.repeated == 0 })
                    tasks.cancelAll()
                    try await tasks.waitForAll()
                }
                await server.kill()
            }
        }

        /// Two servers: members that know both find each other at one of them, and go on together at the other.
        @Test func membersMeetAtOneServer() async throws {
            try await withMongod { uri in
                let endpoints = [ServerProcess.freeEndpoint(), ServerProcess.freeEndpoint()]
                var servers: [ServerProcess] = []
                for endpoint in endpoints { servers.append(try await .start(.external(uri: uri), at: endpoint)) }
                let channels = try (0..<3).map { _ in try Channel(to: endpoints, name: "tester") }
                defer { for channel in channels { channel.close() } }
                try await channels[0].catalog.importAll([.endless])
                let seen = [Consumed(), Consumed()]
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for (index, seen) in seen.enumerated() {
                        tasks.addTask { try await seen.consume(CompletionFeed(channels[index], group: "g", after: 0), pause: .zero) }
                    }
                    var submitted = 0
                    for killed in [0, 1] {
                        let before = seen.map(\.all.count)
                        try await eventuallyHolds(within: .seconds(30)) {
                            try await channels[2].submitAll((0..<10).map { "\(submitted)-\($0)" })
                            submitted += 10
                            return zip(seen, before).allSatisfy { $0.all.count > $1 }
                        }
                        await servers[killed].kill()
                        servers[killed] = try await .start(.external(uri: uri), at: endpoints[killed])
                    }
                    try await channels[2].submitAll(["last"])
                    try await eventuallyHolds(within: .seconds(30)) { seen[0].all.union(seen[1].all).count == submitted + 1 }
                    tasks.cancelAll()
                    try await tasks.waitForAll()
                }
                for server in servers { await server.kill() }
            }
        }
    }
}

/// What a consumer of a feed was handed.
private final class Consumed: Sendable {
    private let storage = Mutex<(all: Set<Int64>, repeated: Int)>(([], 0))

    var all: Set<Int64> { storage.withLock { $0.all } }
    /// How often it was handed what it was done with.
    var repeated: Int { storage.withLock { $0.repeated } }

    /// Takes completions until its task is cancelled, with a pause in each turn of the loop.
    func consume(_ feed: CompletionFeed, pause: Duration) async throws {
        for try await completion in feed {
            if pause > .zero { do { try await Task.sleep(for: pause) } catch { break } }
            storage.withLock { if !$0.all.insert(completion.sequence).inserted { $0.repeated += 1 } }
        }
    }
}

extension Catalog.Product {
    /// Whose stock outlasts any test.
    fileprivate static let endless = Catalog.Product(
        id: "p", name: "Product", category: "Things", price: .init(currencyCode: "USD", units: 1), stock: 1_000_000)
}

extension RPCClient.Channel {
    /// Submits an order of the endless product for each key, all at once.
    fileprivate func submitAll(_ keys: [String]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for key in keys {
                tasks.addTask {
                    _ = try await self.orders.submitOrder(
                        .init(idempotencyKey: key, lines: [.init(productId: "p", quantity: 1)]), options: patient)
                }
            }
            try await tasks.waitForAll()
        }
    }
}

/// Asks until it is so.
private func eventuallyHolds(within limit: Duration, _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record("not within \(limit)")
            return
        }
        try await Task.sleep(for: .milliseconds(20))
    }
}
