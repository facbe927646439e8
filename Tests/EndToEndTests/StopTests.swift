import Glibc
import MongoDB
import ProtoShop
import RPC
import RPCClient
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// A server that is asked to stop while many clients submit orders, and its successor on the same data.
    @Suite struct StopTests {
        private static let clientCount = 4
        private static let callersOfAClient = 8
        private static let ordersBeforeTheSignal = 400
        private static let stock: Int64 = 1_000_000

        @Test(arguments: [SIGTERM, SIGINT], [true, false])
        func everyAnswerIsTrue(signal: Int32, isEmbedded: Bool) async throws {
            if isEmbedded {
                try await withTemporaryFolder { try await check(signal, .embedded(folder: $0)) }
            } else {
                try await withMongod { try await check(signal, .external(uri: $0)) }
            }
        }

        private func check(_ signal: Int32, _ database: ServerProcess.Database) async throws {
            let endpoint = ServerProcess.freeEndpoint()
            let server = try await ServerProcess.start(database, at: endpoint)
            try await server.withChannel { try await $0.catalog.importAll(products) }
            let outcomes = Outcomes(signalAt: Self.ordersBeforeTheSignal) { server.process.signal(signal) }
            async let ended = (server.process.ended(), ContinuousClock.now)
            try await load(endpoint, outcomes)
            let (end, time) = await ended
            #expect(end == .exited(0), "\(server.process.errors.soFar)")
            if let signalled = outcomes.signalled { print("signal \(signal): ended after \(time - signalled); \(outcomes.summary)") }
            if let mongod = server.mongodPID { #expect(kill(mongod, 0) != 0, "the mongod outlives its server") }
            try await ServerProcess.with(database, at: endpoint) { try await checkTruth(outcomes, $0) }
        }

        /// Many callers submit, each until a call of its fails.
        private func load(_ endpoint: String, _ outcomes: Outcomes) async throws {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for client in 0..<Self.clientCount {
                    tasks.addTask {
                        let channel = try Channel(to: endpoint, name: "client-\(client)")
                        defer { channel.close() }
                        await withTaskGroup(of: Void.self) { callers in
                            for caller in 0..<Self.callersOfAClient {
                                callers.addTask { await submit(client, caller, channel, outcomes) }
                            }
                        }
                    }
                }
                try await tasks.waitForAll()
            }
        }

        /// Every other caller waits for the end of each order before the next.
        private func submit(_ client: Int, _ caller: Int, _ channel: RPCClient.Channel, _ outcomes: Outcomes) async {
            for number in 0... {
                let call = Submission(client: client, key: "\(caller)-\(number)")
                do throws(RPCError) {
                    let id = try await channel.orders.submitOrder(call.request, options: patient).order?.id ?? ""
                    outcomes.note(call, .success(id))
                    guard caller.isMultiple(of: 2) else { continue }
                    do throws(RPCError) { _ = try await channel.orders.settled(id) } catch { return outcomes.note(waitFailure: error) }
                } catch {
                    return outcomes.note(call, .failure(error))
                }
            }
        }

        /// Sends everything again to the successor: what it had not before, and only that, is new to it.
        private func checkTruth(_ outcomes: Outcomes, _ server: ServerProcess) async throws {
            let all = outcomes.all
            #expect(all.count { (try? $0.outcome.get()) != nil } >= Self.ordersBeforeTheSignal)
            #expect(outcomes.waitFailures.allSatisfy { $0.code == .unavailable }, "\(outcomes.waitFailures)")
            for client in 0..<Self.clientCount {
                try await server.withChannel("client-\(client)") { channel in
                    try await withThrowingTaskGroup(of: Void.self) { tasks in
                        for (submission, outcome) in all where submission.client == client {
                            tasks.addTask { try await check(submission, outcome, channel.orders) }
                        }
                        try await tasks.waitForAll()
                    }
                }
            }
            try await server.withChannel { channel in
                let log = try await channel.orders.allCompletions()
                #expect(log.map(\.sequence) == (1...Int64(all.count)).map { $0 })
                #expect(Set(log.map(\.orderId)).count == all.count)
                #expect(try await channel.catalog.getProduct(.init(id: "p")).product?.stock == Self.stock - Int64(all.count))
            }
        }

        private func check(
            _ submission: Submission, _ outcome: Result<String, RPCError>, _ orders: Orders.OrderService.Client
        ) async throws {
            let again = try await orders.submitOrder(submission.request, options: patient)
            let order = try #require(again.order)
            switch outcome {
            case .success(let id): #expect(again.replayed && order.id == id, "\(submission.key) was accepted, and is lost")
            case .failure(let error):
                #expect(error.code == .unavailable, "\(error)")
                if error.disposition == .notExecuted { #expect(!again.replayed, "\(submission.key) was carried out: \(error)") }
            }
            #expect(try await orders.settled(order.id).state == .fulfilled)
        }

        private var products: [Catalog.Product] {
            [Catalog.Product(
                id: "p", name: "Product", category: "Things", price: .init(currencyCode: "USD", units: 1), stock: Self.stock)]
        }
    }
}

private struct Submission: Sendable {
    var client: Int
    var key: String

    var request: Orders.SubmitOrderRequest {
        .init(idempotencyKey: key, lines: [.init(productId: "p", quantity: 1)])
    }
}

/// What became of each call; signals when so many orders were accepted.
private final class Outcomes: Sendable {
    private struct State {
        var all: [(submission: Submission, outcome: Result<String, RPCError>)] = []
        var waitFailures: [RPCError] = []
        var signalled: ContinuousClock.Instant?
    }

    private let state = Mutex(State())
    private let count: Int
    private let signal: @Sendable () -> Void

    init(signalAt count: Int, _ signal: @escaping @Sendable () -> Void) {
        self.count = count
        self.signal = signal
    }

    func note(_ submission: Submission, _ outcome: Result<String, RPCError>) {
        let isTime = state.withLock { state in
            state.all.append((submission, outcome))
            guard state.all.count >= count, state.signalled == nil else { return false }
            state.signalled = .now
            return true
        }
        if isTime { signal() }
    }

    func note(waitFailure: RPCError) { state.withLock { $0.waitFailures.append(waitFailure) } }

    var waitFailures: [RPCError] { state.withLock { $0.waitFailures } }
    var all: [(submission: Submission, outcome: Result<String, RPCError>)] { state.withLock { $0.all } }
    var signalled: ContinuousClock.Instant? { state.withLock { $0.signalled } }

    var summary: String {
        var counts: [String: Int] = [:]
        for (_, outcome) in all {
            switch outcome {
            case .success: counts["accepted", default: 0] += 1
            case .failure(let error): counts["\(error.reason) \(error.disposition)", default: 0] += 1
            }
        }
        for error in waitFailures { counts["waits \(error.reason) \(error.disposition)", default: 0] += 1 }
        return counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }
}
