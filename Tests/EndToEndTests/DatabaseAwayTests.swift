import EmbeddedMongoDB
import Glibc
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

extension EndToEnd {
    /// MongoDB goes away under load, and comes back.
    @Suite struct DatabaseAwayTests {
        /// What is promised, and what a machine that has much else to do may add.
        private static let answer = Duration.seconds(3) + .seconds(4)
        private static let recovery = Duration.seconds(5) + .seconds(15)

        /// It stands still for some seconds, and is killed and started again. Whoever calls meanwhile hears so soon, however many call; then all
        /// goes on by itself, and nothing is lost or done twice.
        @Test(arguments: Seeds.fresh(1, long: 5)) func mongodStopsAndDies(seed: UInt64) async throws {
            print("seed \(seed)")
            try await withTemporaryFolder { folder in
                var mongod = try EmbeddedMongod.start(dataDirectory: folder)
                let server = try await ServerProcess.start(.external(uri: mongod.uri))
                let findings = try await OrderLoad([server.endpoint], seed: seed, triesOnce: true).run(mongodb: mongod.uri) { load in
                    try await load.more(50)
                    try stopAllThreads(of: mongod.pid)
                    try await expectUnavailable(server)
                    mongod.signal(SIGCONT)
                    try await expectRecovery(load, "it stood still")

                    mongod.kill()
                    try await expectUnavailable(server)
                    mongod = try EmbeddedMongod.start(dataDirectory: folder)
                    try await expectRecovery(load, "it was killed")
                }
                #expect(findings.map(\.description) == [])
                await server.kill()
                mongod.kill()
            }
        }

        /// Many calls at once, of which most have to wait for a worker.
        private func expectUnavailable(_ server: ServerProcess) async throws {
            var configuration = ChannelConfiguration()
            configuration.retry = .never
            let channel = try Channel(to: server.endpoint, name: "visitor", configuration: configuration)
            defer { channel.close() }
            let start = ContinuousClock.now
            let failures = await withTaskGroup(of: (RPCError?, Duration).self) { tasks in
                for number in 0..<100 {
                    tasks.addTask {
                        do throws(RPCError) {
                            _ = try await channel.catalog.getProduct(.init(id: "p\(number % 8)"), options: patient)
                            return (nil, ContinuousClock.now - start)
                        } catch {
                            return (error, ContinuousClock.now - start)
                        }
                    }
                }
                return await tasks.reduce(into: []) { $0.append($1) }
            }
            let slowest = failures.map(\.1).max() ?? .zero
            print("MongoDB is away: the slowest of \(failures.count) calls heard so after \(slowest)")
            #expect(failures.allSatisfy { $0.0?.code == .unavailable && $0.0?.disposition == .notExecuted }, "\(failures.first { $0.0?.code != .unavailable } as Any)")
            #expect(slowest < Self.answer)
        }

        private func expectRecovery(_ load: OrderLoad, _ what: String) async throws {
            let start = ContinuousClock.now
            try await load.more(20)
            let time = ContinuousClock.now - start
            print("\(what): orders are accepted again after \(time)")
            #expect(time < Self.recovery)
        }

        /// Three mongods, two servers: the primary resigns, and the next one is killed when it alone has some settlements.
        @Test(arguments: Seeds.fresh(1, long: 5)) func primaryIsLost(seed: UInt64) async throws {
            print("seed \(seed)")
            try await MongoTrio.with { trio in
                let servers = [try await ServerProcess.start(.external(uri: trio.uri)), try await ServerProcess.start(.external(uri: trio.uri))]
                let findings = try await OrderLoad(servers.map(\.endpoint), seed: seed).run(mongodb: trio.uri) { load in
                    try await load.more(50)
                    let first = try await trio.primary()
                    try trio.stepDown(first)
                    let second = try await trio.primary(otherThan: first)
                    try await expectRecovery(load, "the primary resigned")

                    try trio.setReplication(from: second, isOn: false)
                    let deadline = ContinuousClock.now + .seconds(30)
                    while try trio.sequence(at: second, .local) <= trio.sequence(at: second, .majority), ContinuousClock.now < deadline {
                        try await Task.sleep(for: .milliseconds(2))
                    }
                    // Longer than it takes to tell of a settlement.
                    try await Task.sleep(for: .milliseconds(300))
                    let (told, had, alone) = try (load.lastTold, trio.sequence(at: second, .majority), trio.sequence(at: second, .local))
                    print("the primary alone has the settlements \(had + 1) to \(alone); \(told) are told")
                    #expect(alone > had && told <= had, "nobody is told of what can be undone")
                    await trio.kill(second)
                    try trio.setReplication(from: second, isOn: true)
                    _ = try await trio.primary(otherThan: second)
                    try await expectRecovery(load, "the primary was killed")
                    try await trio.start(second)
                    try await load.more(100)
                }
                #expect(findings.map(\.description) == [])
                for server in servers { await server.kill() }
            }
        }
    }
}
