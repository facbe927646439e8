import Glibc
import MongoDB
import ProtoShop
import RPC
import RPCClient
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// kill -9 in the middle of imports, updates, moves, deletions and adjustments by several clients: the counts of categories stay
    /// exact, at every moment, and each adjustment of stock is made once.
    @Suite struct CatalogKillTests {
        static let seeds = Seeds.fresh(1, long: 8)

        @Test(arguments: seeds) func twoServersAreKilledInTurn(seed: UInt64) async throws {
            print("seed \(seed): two servers on one MongoDB")
            try await withMongod { uri in
                let endpoints = [ServerProcess.freeEndpoint(), ServerProcess.freeEndpoint()]
                try await CatalogHistory(database: .external(uri: uri), endpoints: endpoints, seed: seed).run()
            }
        }

        @Test(arguments: seeds) func aServerIsKilledTogetherWithItsMongoDB(seed: UInt64) async throws {
            print("seed \(seed): one server and its MongoDB")
            try await withTemporaryFolder { folder in
                try await CatalogHistory(database: .embedded(folder: folder), endpoints: [ServerProcess.freeEndpoint()], seed: seed).run()
            }
        }
    }
}

/// What several clients do to a catalogue while its servers are killed and started again.
private struct CatalogHistory {
    let database: ServerProcess.Database
    let endpoints: [String]
    let seed: UInt64

    private static let writers = 6
    /// Kills, one after the other.
    private static let kills = 3
    /// Successful changes before each kill, and after the last.
    private static let changesBetween = 80

    func run() async throws {
        var random = SeededGenerator(seed: seed)
        var servers: [ServerProcess] = []
        for endpoint in endpoints { servers.append(try await .start(database, at: endpoint)) }
        let ledger = ChangeLedger()
        try await withChannel("preparer") { try await $0.catalog.importAll(CatalogWriter.stocked) }

        let checks = try await withThrowingTaskGroup(of: Int.self) { group in
            defer { ledger.stop() }
            for lane in 0..<Self.writers {
                group.addTask {
                    try await withChannel("writer-\(lane)") { channel in
                        var writer = CatalogWriter(catalog: channel.catalog, ledger: ledger, seed: seed &+ UInt64(lane + 1))
                        while !ledger.isStopped { try await writer.step() }
                        return 0
                    }
                }
            }
            group.addTask { try await withChannel("doctor") { try await checkAllTheTime($0, ledger) } }
            for kill in 0..<Self.kills {
                let index = kill % servers.count
                try await ledger.more(Self.changesBetween)
                let delay = Int.random(in: 0...20_000, using: &random)
                print("seed \(seed): kill \(kill + 1) after \(ledger.count) changes, and \(delay) us")
                try await Task.sleep(for: .microseconds(delay))
                servers[index].process.signal(SIGKILL)
                // Returns when its mongod is gone, too.
                await servers[index].kill()
                servers[index] = try await .start(database, at: endpoints[index])
            }
            try await ledger.more(Self.changesBetween)
            ledger.stop()
            return try await group.reduce(0, +)
        }
        print("seed \(seed): \(ledger.summary), \(checks) checks meanwhile")
        try await withChannel("judge") { try await judge($0, ledger) }
        try judgeDatabase(servers[0].mongodb)
        for server in servers { await server.kill() }
    }

    private func withChannel<Result>(_ name: String, _ body: (RPCClient.Channel) async throws -> Result) async throws -> Result {
        let channel = try Channel(to: endpoints, name: name)
        defer { channel.close() }
        return try await body(channel)
    }

    /// The checker finds nothing while all that goes on. Returns how often it was asked.
    private func checkAllTheTime(_ channel: RPCClient.Channel, _ ledger: ChangeLedger) async throws -> Int {
        var checks = 0
        while !ledger.isStopped {
            do throws(RPCError) {
                let found = try await channel.catalog.checkCatalog(.init(), options: CallOptions(timeout: .seconds(20)))
                #expect(found.findingCount == 0, "seed \(seed): \(found)")
                checks += 1
            } catch {
                #expect([.unavailable, .deadlineExceeded, .resourceExhausted].contains(error.code), "seed \(seed): \(error)")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        return checks
    }

    private func judge(_ channel: RPCClient.Channel, _ ledger: ChangeLedger) async throws {
        let found = try await channel.catalog.checkCatalog(.init(), options: patient)
        #expect(found.findingCount == 0, "seed \(seed): \(found)")
        let all = try await channel.catalog.walkByNumber(.init(pageSize: 1000))
        #expect(Int64(all.count) == found.productCount)
        for product in CatalogWriter.stocked {
            let stock = try await channel.catalog.getProduct(.init(id: product.id), options: patient).product?.stock
            #expect(stock == product.stock + ledger.adjusted(product.id), "seed \(seed): \(product.id)")
        }
    }

    /// Counts without any code of ours: category by category, products on one side, the stored number on the other.
    private func judgeDatabase(_ uri: String) throws {
        let pool = try ClientPool.passing(uri: uri, appName: "judge", size: 1, timeouts: .background)
        let (counted, stored) = try pool.withClient { client throws(MongoError) in
            let group = Document { stage in
                stage.document("$group") { group in
                    group.append("_id", "$category_key")
                    group.document("count") { $0.append("$sum", 1) }
                }
            }
            var (counted, stored): ([String: Int64], [String: Int64]) = ([:], [:])
            var groups = try client.collection("products", in: "orderwire").aggregate([group])
            while let row = try groups.next() { counted[try row.string("_id")] = try row.int64("count") }
            var categories = try client.collection("categories", in: "orderwire").find(Document())
            while let row = try categories.next() { stored[try row.string("_id")] = try row.int64("count") }
            return (counted, stored)
        }
        #expect(counted == stored, "seed \(seed)")
    }
}

/// A client that changes the catalogue at random, in what it alone knows the seed of.
private struct CatalogWriter {
    let catalog: Catalog.CatalogService.Client
    let ledger: ChangeLedger
    var random: SeededGenerator

    /// Products whose stock alone is changed, so that it can be added up.
    static let stocked = (0..<4).map { product("stocked-\($0)", "Stocked", cents: 100, stock: 1_000_000) }
    private static let categories = ["Rock", "ROCK", "Pop", "Jazz", "jazz", "Blues", "Straße", "Folk"]
    private static let options = CallOptions(timeout: .seconds(15))

    init(catalog: Catalog.CatalogService.Client, ledger: ChangeLedger, seed: UInt64) {
        (self.catalog, self.ledger) = (catalog, ledger)
        random = SeededGenerator(seed: seed)
    }

    private static func product(_ id: String, _ category: String, cents: Int64, stock: Int64) -> Catalog.Product {
        Catalog.Product(
            id: id, name: "Product \(cents)", category: category,
            price: .init(currencyCode: "USD", units: cents / 100, nanos: Int32(cents % 100) * 10_000_000), stock: stock)
    }

    private mutating func randomProduct() -> Catalog.Product {
        Self.product(
            "p-\(Int.random(in: 0..<300, using: &random))", Self.categories.randomElement(using: &random) ?? "",
            cents: Int64.random(in: 1...5000, using: &random), stock: 5)
    }

    /// One change. What could not be made, for others' changes or because a server is gone, is no success and no fault.
    mutating func step() async throws {
        let kind = ChangeLedger.Kind.allCases[Int.random(in: 0..<ChangeLedger.Kind.allCases.count, using: &random)]
        do throws(RPCError) {
            switch kind {
            case .imported:
                var products: [Catalog.Product] = []
                for _ in 0..<Int.random(in: 1...60, using: &random) { products.append(randomProduct()) }
                _ = try await catalog.importProducts(.init(products: products), options: Self.options)
            case .updated:
                let wanted = randomProduct()
                let seen = try await catalog.getProduct(.init(id: wanted.id), options: Self.options).product
                _ = try await catalog.updateProduct(
                    .init(product: wanted, updateFields: ["name", "category", "price"], expectedVersion: seen?.version ?? 0),
                    options: Self.options)
            case .deleted:
                _ = try await catalog.deleteProduct(.init(id: randomProduct().id), options: Self.options)
            case .adjusted:
                try await adjust()
            }
            ledger.note(kind)
        } catch {
            let isExpected = [.unavailable, .deadlineExceeded, .resourceExhausted, .notFound, .aborted].contains(error.code)
            #expect(isExpected, "\(error)")
        }
    }

    /// Asks until there is an answer, which then holds for ever.
    private mutating func adjust() async throws(RPCError) {
        let id = Self.stocked.randomElement(using: &random)?.id ?? ""
        let delta = Int64.random(in: 1...9, using: &random) * (Bool.random(using: &random) ? 1 : -1)
        let request = Catalog.AdjustStockRequest(id: id, delta: delta, requestId: "r-\(random.next())")
        for _ in 0..<20 {
            do throws(RPCError) {
                _ = try await catalog.adjustStock(request, options: Self.options)
                return ledger.noteAdjusted(id, by: delta)
            } catch {
                guard [.unavailable, .deadlineExceeded, .resourceExhausted].contains(error.code) else { throw error }
            }
        }
        Issue.record("an adjustment has no answer: \(request)")
    }
}

/// What the writers achieved.
private final class ChangeLedger: Sendable {
    enum Kind: String, CaseIterable { case imported, updated, deleted, adjusted }

    private let counts = Mutex<[Kind: Int]>([:])
    private let sums = Mutex<[String: Int64]>([:])
    private let stopped = Atomic<Bool>(false)

    var isStopped: Bool { stopped.load(ordering: .relaxed) }
    func stop() { stopped.store(true, ordering: .relaxed) }

    func note(_ kind: Kind) { counts.withLock { $0[kind, default: 0] += 1 } }
    func noteAdjusted(_ id: String, by delta: Int64) { sums.withLock { $0[id, default: 0] += delta } }

    var count: Int { counts.withLock { $0.values.reduce(0, +) } }
    func adjusted(_ id: String) -> Int64 { sums.withLock { $0[id, default: 0] } }
    var summary: String { Kind.allCases.map { kind in "\(counts.withLock { $0[kind, default: 0] }) \(kind)" }.joined(separator: ", ") }

    struct NoProgress: Error {}

    /// Returns when that many more changes were made.
    func more(_ number: Int) async throws {
        let (goal, deadline) = (count + number, ContinuousClock.now + .seconds(60))
        while count < goal {
            if ContinuousClock.now > deadline { throw NoProgress() }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}
