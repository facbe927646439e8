import Glibc
import MongoDB
import TestSupport
import Testing

extension EndToEnd {
    /// The server dies, or stands still, at named places in the life of an order, under load; the checker looks at what is left.
    @Suite struct CrashPointTests {
        /// Places, and the latest time at which to die there.
        private static let points = [
            ("before-insert", 60), ("after-insert", 60), ("in-transaction", 20), ("before-commit", 20), ("after-commit", 20), ("after-exit", 20), ("in-recovery", 1),
            ("before-push", 100), ("after-push", 100), ("in-acknowledgement", 100),
        ]

        /// One life after another, each of which ends at another place.
        @Test(arguments: Seeds.fresh(1, long: 20)) func diesAtEachPlace(seed: UInt64) async throws {
            var random = SeededGenerator(seed: seed)
            var lives = Self.points.map { (point: $0.0, count: Int.random(in: 1...$0.1, using: &random)) }
            lives.shuffle(using: &random)
            print("seed \(seed): \(lives.map { "\($0.point) \($0.count)" }.joined(separator: ", "))")
            try await withMongod { uri in
                let endpoint = ServerProcess.freeEndpoint()
                let first = try await ServerProcess.start(.external(uri: uri), at: endpoint)
                let load = OrderLoad([endpoint], seed: seed)
                let findings = try await load.run(mongodb: uri) { load in
                    try await load.more(20)
                    await first.killAtOnce()
                    for life in lives { try await live(life, load, uri, endpoint) }
                    _ = try await ServerProcess.start(.external(uri: uri), at: endpoint)
                    try await load.more(50)
                }
                #expect(findings.map(\.description) == [])
            }
        }

        private func live(_ life: (point: String, count: Int), _ load: OrderLoad, _ uri: String, _ endpoint: String) async throws {
            let fault = "kill \(life.point) \(life.count)"
            guard life.point != "in-recovery" else {
                // Whoever held the lease before has to be gone for as long as it lasts, or be of this name: it is.
                let end = try await ServerProcess.dies(.external(uri: uri), at: endpoint, fault: fault)
                return #expect(end == .killed(SIGKILL))
            }
            let server = try await ServerProcess.start(.external(uri: uri), at: endpoint, fault: fault)
            let hasDied = await server.process.ends(within: .seconds(60))
            #expect(hasDied, "\(fault): it lives")
            await server.killAtOnce()
        }

        /// A settler that stands still in the middle of a transaction, for longer than its lease: the other one goes on, and it writes nothing
        /// when it wakes up. Without the fence it does, and the checker sees it.
        @Test(arguments: [("", false), (",flaw settles-unfenced", true)]) func standsStill(flaw: String, isFound: Bool) async throws {
            let seed = Seeds.fresh(1)[0]
            try await withMongod { uri in
                let stopped = try await ServerProcess.start(.external(uri: uri), fault: "stop in-transaction 10\(flaw)")
                while try Lease(uri)?.isHeld(by: stopped) != true { try await Task.sleep(for: .milliseconds(10)) }
                let other = try await ServerProcess.start(.external(uri: uri))
                let findings = try await OrderLoad([other.endpoint], seed: seed).run(mongodb: uri) { load in
                    let deadline = ContinuousClock.now + .seconds(60)
                    while try Lease(uri)?.isHeld(by: other) != true, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(10)) }
                    #expect(try Lease(uri)?.isHeld(by: other) == true)
                    try await load.more(50)
                    stopped.process.signal(SIGCONT)
                    try await load.more(200)
                    // It comes to settle only now and then, when it is quicker than the other.
                    let end = ContinuousClock.now + .seconds(60)
                    while try isFound && !Self.oldSettlerWrote(uri), ContinuousClock.now < end { try await load.more(50) }
                    stopped.process.signal(SIGKILL)
                    try await load.more(50)
                }
                #expect(isFound ? findings.contains { $0.kind == .fence } : findings.isEmpty, "\(findings)")
            }
        }

        /// Whether a settlement of an earlier epoch follows one of a later epoch.
        private static func oldSettlerWrote(_ uri: String) throws -> Bool {
            let epochs = try ShopContents(in: uri).settlements.map(\.epoch)
            return zip(epochs, epochs.dropFirst()).contains { $0 > $1 }
        }
    }

    /// The checker finds what seeded mistakes do to a shop.
    @Suite struct FlawTests {
        @Test(arguments: [
            ("oversells", "flaw oversells", Checker.Kind.stock),
            ("loses notifications", "flaw loses-notifications", .notification),
            ("answers before it writes", "flaw answers-before-writing,kill before-insert 20", .lost),
        ]) func isFound(name: String, fault: String, kind: Checker.Kind) async throws {
            try await withMongod { uri in
                let endpoint = ServerProcess.freeEndpoint()
                let flawed = try await ServerProcess.start(.external(uri: uri), at: endpoint, fault: fault)
                let findings = try await OrderLoad([endpoint], seed: Seeds.fresh(1)[0]).run(mongodb: uri, listenersPatience: .seconds(3)) { load in
                    if fault.contains("kill") {
                        _ = await flawed.process.ends(within: .seconds(60))
                        _ = try await ServerProcess.start(.external(uri: uri), at: endpoint)
                    }
                    try await load.more(500)
                }
                #expect(findings.contains { $0.kind == kind }, "\(name): \(findings)")
            }
        }
    }
}
