import EmbeddedMongoDB
import Glibc
import MongoDB
import ProtoRuntime
import ProtoShop
import RPC
import RPCClient
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// Calls whose time passed before anybody could begin with them: the database hears nothing of them, and who comes
    /// afterwards is served at once.
    @Suite struct DeadWorkTests {
        private static let clientCount = 5
        private static let callsOfAClient = 1000
        private static let budget = Duration.seconds(1)
        private static let products = (0..<callsOfAClient).map {
            Catalog.Product(id: "p\($0)", name: "Product \($0)", category: "Things", price: .init(currencyCode: "USD", units: 1), stock: 1000)
        }

        /// The server is stopped for 3 s while 5,000 calls of 1 s come.
        @Test func aServerThatWasStoppedDoesNoDeadWork() async throws {
            try await withMongod { uri in
                try await ServerProcess.with(.external(uri: uri)) { server in
                    let clients = try await Clients(server, count: Self.clientCount, products: Self.products)
                    defer { clients.close() }
                    let before = try await clients.stats()
                    try stopAllThreads(of: server.process.pid)
                    let stopped = ContinuousClock.now
                    let outcomes = await clients.callAll(callsEach: Self.callsOfAClient, budget: Self.budget)
                    try await Task.sleep(until: stopped + .seconds(3))
                    let work = try DatabaseWork(uri)
                    server.process.signal(SIGCONT)
                    let continued = ContinuousClock.now
                    #expect(try await clients.normalCall() == "p0")
                    let wait = ContinuousClock.now - continued
                    let after = try await clients.stats(receiving: before.receivedCount + Int64(Self.callsOfAClient * Self.clientCount))
                    let count = try work.count()
                    print("stopped for 3 s or more: a normal call after \(wait); \(outcomes); refused \(after.refusedCounts); database commands: \(count)")
                    #expect(outcomes.ended == Self.clientCount * Self.callsOfAClient)
                    #expect(outcomes.reasons == ["DEADLINE_EXCEEDED": outcomes.ended], "\(outcomes)")
                    #expect(after.receivedCount - before.receivedCount >= Int64(outcomes.ended), "they came too late, but they came")
                    // The one normal call's.
                    #expect(count == 1, "the database worked for calls that nobody waited for")
                    // At once, but for what a busy machine may add.
                    #expect(wait < .seconds(10))
                }
            }
        }

        /// The workers wait for a database that stands still, while 5,000 calls of 1 s come.
        @Test func busyWorkersDoNoDeadWork() async throws {
            let mongod = try EmbeddedMongod.start()
            defer { mongod.discard() }
            try await ServerProcess.with(.external(uri: mongod.uri)) { server in
                let clients = try await Clients(server, count: Self.clientCount, products: Self.products)
                defer { clients.close() }
                let work = try DatabaseWork(mongod.uri)
                try stopAllThreads(of: mongod.pid)
                let outcomes = await clients.callAll(callsEach: Self.callsOfAClient, budget: Self.budget)
                mongod.signal(SIGCONT)
                #expect(outcomes.ended == Self.clientCount * Self.callsOfAClient)
                #expect(outcomes.codes.isSubset(of: [.deadlineExceeded, .unavailable, .resourceExhausted]), "\(outcomes)")
                let isBack = try await clients.eventuallyServed(within: .seconds(10))
                #expect(isBack, "no normal call after the database was back")
                let count = try work.count()
                print("database stopped: \(outcomes); database commands: \(count)")
                // What the few workers had sent when it stopped, their retries, and the normal calls.
                #expect(count <= Self.mostCommandsOfBusyWorkers, "the database worked for calls that nobody waited for")
            }
        }

        private static let mostCommandsOfBusyWorkers = 40
    }
}

/// What the shop's services asked of the database since this was made: the commands on products and orders.
private struct DatabaseWork {
    private let pool: ClientPool
    private let before: Int64

    init(_ uri: String) throws {
        pool = try ClientPool.passing(uri: uri, appName: "checker", size: 1, timeouts: .background)
        _ = try pool.withClient { client throws(MongoError) in
            try client.runCommand(Document { $0.append("profile", 2) }, in: "orderwire")
        }
        before = try Self.count(pool)
    }

    func count() throws -> Int { Int(try Self.count(pool) - before) }

    private static func count(_ pool: ClientPool) throws -> Int64 {
        try pool.withClient { client throws(MongoError) in
            let profile = client.collection("system.profile", in: "orderwire")
            let reads = Document { $0.append("ns", "orderwire.products") }
            // The settler looks for orders all the time.
            let writes = Document { filter in
                filter.append("ns", "orderwire.orders")
                filter.append("op", "insert")
            }
            return try profile.count(reads) + profile.count(writes)
        }
    }
}

/// Several clients, each of whom has made a call already: its session is open, and the server knows its clock.
private struct Clients {
    struct Outcomes: CustomStringConvertible {
        var ended = 0
        var reasons: [String: Int] = [:]
        var codes: Set<StatusCode> = []
        var description: String { reasons.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ") }
    }

    private let channels: [RPCClient.Channel]

    init(_ server: ServerProcess, count: Int, products: [Catalog.Product]) async throws {
        channels = try (0..<count).map { try server.channel("client-\($0)") }
        try await channels[0].catalog.importAll(products)
        for channel in channels { for _ in 0..<5 { _ = try await channel.catalog.getProduct(.init(id: "p0"), options: patient) } }
    }

    func close() { for channel in channels { channel.close() } }

    /// Calls that differ, reads and writes in turn, all at once.
    func callAll(callsEach: Int, budget: Duration) async -> Outcomes {
        await withTaskGroup(of: RPCError?.self) { tasks in
            for channel in channels {
                for number in 0..<callsEach { tasks.addTask { await Self.call(channel, number, CallOptions(timeout: budget)) } }
            }
            return await tasks.reduce(into: Outcomes()) { outcomes, error in
                outcomes.ended += 1
                outcomes.reasons[error?.reason ?? "OK", default: 0] += 1
                outcomes.codes.insert(error?.code ?? .ok)
            }
        }
    }

    private static func call(_ channel: RPCClient.Channel, _ number: Int, _ options: CallOptions) async -> RPCError? {
        do throws(RPCError) {
            switch number % 3 {
            case 0: _ = try await channel.catalog.getProduct(.init(id: "p\(number)"), options: options)
            case 1: _ = try await channel.catalog.listProducts(.init(pageSize: Int32(number)), options: options)
            default:
                let request = Orders.SubmitOrderRequest(idempotencyKey: "k\(number)", lines: [.init(productId: "p\(number)", quantity: 1)])
                _ = try await channel.orders.submitOrder(request, options: options)
            }
            return nil
        } catch {
            return error
        }
    }

    func normalCall() async throws(RPCError) -> String? {
        try await channels[1].catalog.getProduct(.init(id: "p0"), options: patient).product?.id
    }

    /// Whether a normal call is answered within that time.
    func eventuallyServed(within limit: Duration) async throws -> Bool {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            do throws(RPCError) {
                return try await normalCall() == "p0"
            } catch {
                guard error.code == .unavailable || error.code == .deadlineExceeded else { throw error }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
        return false
    }

    /// The server's counts, once it has received so many frames.
    func stats(receiving count: Int64 = 0) async throws -> Runtime.StatsResponse {
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            let stats = try await Runtime.RuntimeService.Client(channels[0]).stats(.init(), options: patient)
            if stats.receivedCount >= count || ContinuousClock.now > deadline { return stats }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
