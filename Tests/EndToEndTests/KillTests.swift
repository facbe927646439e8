import ChinookData
import Glibc
import MongoDB
import ProtoShop
import RPC
import RPCClient
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// kill -9 in the middle of the 412 orders, as often as it pleases: each takes effect once, and everybody hears of it.
    @Suite struct KillTests {
        /// Rounds of two kills each.
        static let seeds = Seeds.fresh(1, long: 10)

        @Test(arguments: seeds) func killedWhileMongoDBLives(seed: UInt64) async throws {
            print("seed \(seed): the server is killed, its MongoDB is not")
            try await withMongod { try await KilledReplay(database: .external(uri: $0), seed: seed).run() }
        }

        @Test(arguments: seeds) func killedTogetherWithMongoDB(seed: UInt64) async throws {
            print("seed \(seed): the server is killed, and its MongoDB with it")
            try await withTemporaryFolder { try await KilledReplay(database: .embedded(folder: $0), seed: seed).run() }
        }
    }
}

/// The Chinook orders on a server that is killed on the way, started again on the same data, and sent the same keys again.
private struct KilledReplay {
    let database: ServerProcess.Database
    let seed: UInt64
    private let endpoint = ServerProcess.freeEndpoint()
    private let ledger = Ledger()

    private static let killCount = 2

    init(database: ServerProcess.Database, seed: UInt64) {
        self.database = database
        self.seed = seed
    }

    func run() async throws {
        let chinook = try Chinook.shared.get()
        var random = SeededGenerator(seed: seed)
        let first = try await ServerProcess.start(database, at: endpoint)
        try await first.withChannel { try await $0.catalog.importAll(chinook.products) }
        let auditor = try Auditor(endpoint, count: chinook.orders.count) { [ledger] in ledger.note(.notified) }
        defer { auditor.close() }

        var server = first
        for number in 1...Self.killCount {
            let moment = KillMoment.random(number, of: Self.killCount, using: &random)
            print("seed \(seed): kill \(number) after \(moment.count) \(moment.step), and \(moment.delay)")
            try await replay(chinook, on: server, killedAt: moment)
            server = try await ServerProcess.start(database, at: endpoint)
        }
        try await replay(chinook, on: server, killedAt: nil)

        let notified = try await auditor.completions()
        try await server.withChannel { try await check(chinook, notified, $0) }
        try checkDatabase(server.mongodb, chinook)
        await server.kill()
    }

    /// Sends all orders, until all are final or the server is killed.
    private func replay(_ chinook: Chinook, on server: ServerProcess, killedAt moment: KillMoment?) async throws {
        let killer = moment.map { Killer($0, server) }
        ledger.begin(killer)
        try await Customers(orders: chinook.orders, endpoint: endpoint) { [ledger] in ledger.note($0) }.run()
        guard killer != nil else { return #expect(ledger.failures.isEmpty) }
        // All orders may have been final before the moment came.
        await server.kill()
        for error in ledger.failures {
            #expect(error.code == .unavailable, "\(error)")
        }
    }

    private func check(_ chinook: Chinook, _ notified: [Orders.Completion], _ channel: RPCClient.Channel) async throws {
        let count = chinook.orders.count
        let log = try await channel.orders.allCompletions()
        #expect(log.map(\.sequence) == (1...Int64(count)).map { $0 }, "the numbers have no gap and no repeat")
        #expect(log.allSatisfy { $0.state == .fulfilled })
        #expect(log.reduce(0) { $0 + ($1.total?.cents ?? 0) } == 232_860)
        #expect(Set(log.map(\.idempotencyKey)) == Set(chinook.orders.map(\.request.idempotencyKey)))

        let distinct = Dictionary(notified.map { ($0.sequence, $0) }) { first, again in
            #expect(first == again)
            return first
        }
        print("seed \(seed): \(notified.count) notifications of \(distinct.count) completions")
        #expect(distinct.values.sorted { $0.sequence < $1.sequence } == log)

        for (key, ids) in ledger.accepted {
            #expect(ids == [log.first { $0.idempotencyKey == key }?.orderId], "\(key): one key, one order")
        }
        for order in ledger.final {
            let completion = log.first { $0.orderId == order.id }
            #expect(completion?.sequence == order.sequence && completion?.total == order.total)
        }
        #expect(ledger.wrongReplays.isEmpty, "accepted before, and not marked as replayed")

        var expected = Dictionary(uniqueKeysWithValues: chinook.products.map { ($0.id, $0.stock) })
        for line in chinook.orders.flatMap(\.request.lines) { expected[line.productId, default: 0] -= Int64(line.quantity) }
        let products = try await channel.catalog.walkByNumber(.init(pageSize: 1000))
        #expect(Dictionary(products.map { ($0.id, $0.stock) }) { first, _ in first } == expected, "stock moved exactly once")
    }

    /// What no call shows: documents that nobody sent.
    private func checkDatabase(_ uri: String, _ chinook: Chinook) throws {
        let pool = try ClientPool(uri: uri, appName: "checker", size: 1, timeouts: .background)
        let counts = try pool.withClient { client throws(MongoError) in
            (try client.collection("orders", in: "orderwire").count(Document()), try client.collection("products", in: "orderwire").count(Document()))
        }
        #expect(counts == (Int64(chinook.orders.count), Int64(chinook.products.count)))
    }
}

/// Steps of a replay that can be counted.
private enum Step: CaseIterable {
    case submitted, accepted, final, notified
}

/// When to kill.
private struct KillMoment {
    var step: Step
    var count: Int
    /// From that step on: puts the kill anywhere between two of them.
    var delay: Duration

    static func random(_ number: Int, of killCount: Int, using random: inout SeededGenerator) -> KillMoment {
        // Each life gets its share of the orders.
        KillMoment(
            step: Step.allCases[Int.random(in: 0..<Step.allCases.count, using: &random)],
            count: Int.random(in: 1...(400 / (killCount + 1)), using: &random),
            delay: .microseconds(Int.random(in: 0...4000, using: &random)))
    }
}

/// Kills the server when the moment has come.
private final class Killer: Sendable {
    private let moment: KillMoment
    private let server: ServerProcess
    private let count = Atomic(0)

    init(_ moment: KillMoment, _ server: ServerProcess) {
        self.moment = moment
        self.server = server
    }

    func note(_ step: Step) {
        guard step == moment.step, count.add(1, ordering: .relaxed).newValue == moment.count else { return }
        startThread { [self] in
            usleep(UInt32(moment.delay / .microseconds(1)))
            server.process.signal(SIGKILL)
        }
    }
}

/// What the customers saw, over all lives of the server.
private final class Ledger: Sendable {
    private struct Entries {
        var killer: Killer?
        var accepted: [String: Set<String>] = [:]
        var final: [Orders.Order] = []
        var failures: [RPCError] = []
        var wrongReplays: [String] = []
    }

    private let entries = Mutex(Entries())

    /// A new life begins.
    func begin(_ killer: Killer?) {
        entries.withLock {
            $0.killer = killer
            $0.failures = []
        }
    }

    func note(_ event: Customers.Event) {
        entries.withLock { entries in
            switch event {
            case .submits: break
            case .accepted(let key, let id, let isReplayed):
                if entries.accepted[key] != nil && !isReplayed { entries.wrongReplays.append(key) }
                entries.accepted[key, default: []].insert(id)
            case .final(let order): entries.final.append(order)
            case .failed(_, let error): entries.failures.append(error)
            }
        }
        switch event {
        case .submits: note(.submitted)
        case .accepted: note(.accepted)
        case .final: note(.final)
        case .failed: break
        }
    }

    func note(_ step: Step) { entries.withLock { $0.killer }?.note(step) }

    var accepted: [String: Set<String>] { entries.withLock { $0.accepted } }
    var final: [Orders.Order] { entries.withLock { $0.final } }
    var failures: [RPCError] { entries.withLock { $0.failures } }
    var wrongReplays: [String] { entries.withLock { $0.wrongReplays } }
}
