import ChinookData
import Glibc
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

        /// The server ends, too, and says why; its successor has what was accepted.
        @Test func anEmbeddedMongoDBDiesByItself() async throws {
            try await withTemporaryFolder { folder in
                let endpoint = ServerProcess.freeEndpoint()
                let product = Catalog.Product(
                    id: "p", name: "Product", category: "Things", price: .init(currencyCode: "USD", units: 1), stock: 10)
                let order = Orders.SubmitOrderRequest(idempotencyKey: "k", lines: [.init(productId: "p", quantity: 1)])
                let server = try await ServerProcess.start(.embedded(folder: folder), at: endpoint)
                try await server.withChannel { channel in
                    try await channel.catalog.importAll([product])
                    _ = try await channel.orders.submitOrder(order, options: patient)
                    kill(try #require(server.mongodPID), SIGKILL)
                    let hasEnded = await server.process.ends(within: .seconds(60))
                    #expect(hasEnded)
                    let end = await server.process.ended()
                    #expect(end == .exited(1) && server.process.errors.soFar.contains("MongoDB has ended by itself"), "\(server.process.errors.soFar)")
                }
                try await ServerProcess.with(.embedded(folder: folder), at: endpoint) { server in
                    try await server.withChannel { channel in
                        let again = try await channel.orders.submitOrder(order, options: patient)
                        #expect(again.replayed)
                        #expect(try await channel.orders.settled(again.order?.id ?? "").state == .fulfilled)
                    }
                }
            }
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
        try check(chinook, try await auditor.completions(), ShopContents(in: server.mongodb))
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

    private func check(_ chinook: Chinook, _ notified: [Orders.Completion], _ contents: ShopContents) throws {
        let everything = History.Subscriber(name: "audit", submitter: nil)
        ledger.history.note(.subscribed(everything))
        for completion in notified { ledger.history.note(.notified(everything, completion)) }
        let stock = Dictionary(uniqueKeysWithValues: chinook.products.map { ($0.id, $0.stock) })
        #expect(Checker(ledger.history, contents, initialStock: stock).findings().map(\.description) == [])
        #expect(ledger.wrongReplays.isEmpty, "accepted before, and not marked as replayed")
        // The known answer: every invoice is fulfilled.
        #expect(contents.rows.count == chinook.orders.count && contents.rows.allSatisfy { $0.total != nil })
        #expect(contents.rows.reduce(0) { $0 + ($1.total ?? 0) } == 232_860)
        print("seed \(seed): \(notified.count) notifications of \(contents.rows.count) completions")
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

/// What the customers did and saw, over all lives of the server.
private final class Ledger: Sendable {
    private struct Entries {
        var killer: Killer?
        var accepted: Set<String> = []
        var failures: [RPCError] = []
        var wrongReplays: [String] = []
    }

    let history = History()
    private let entries = Mutex(Entries())

    /// A new life begins.
    func begin(_ killer: Killer?) {
        entries.withLock {
            $0.killer = killer
            $0.failures = []
        }
    }

    func note(_ event: Customers.Event) {
        switch event {
        case .submits(let customer, let request):
            let lines = request.lines.map { ($0.productId, Int64($0.quantity)) }
            history.note(.invoked(.init(client: customer, key: request.idempotencyKey, lines: Dictionary(lines, uniquingKeysWith: +))))
            note(.submitted)
        case .accepted(let customer, let key, let id, let isReplayed):
            history.note(.accepted(client: customer, key: key, id: id))
            entries.withLock { if !$0.accepted.insert(key).inserted && !isReplayed { $0.wrongReplays.append(key) } }
            note(.accepted)
        case .final(let customer, let order):
            history.note(.observed(client: customer, order))
            note(.final)
        case .failed(let customer, let key, let error):
            // A wait may have failed, too: then the order was accepted before.
            history.note(.unknown(client: customer, key: key))
            entries.withLock { $0.failures.append(error) }
        }
    }

    func note(_ step: Step) { entries.withLock { $0.killer }?.note(step) }

    var failures: [RPCError] { entries.withLock { $0.failures } }
    var wrongReplays: [String] { entries.withLock { $0.wrongReplays } }
}
