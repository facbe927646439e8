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
            try await load(endpoint, outcomes)
            #expect(await server.process.ended() == .exited(0), "\(server.process.errors.soFar)")
            if let signalled = outcomes.signalled {
                print("signal \(signal): ended \(ContinuousClock.now - signalled) later at most; \(outcomes.summary)")
            }
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

        private func submit(_ client: Int, _ caller: Int, _ channel: RPCClient.Channel, _ outcomes: Outcomes) async {
            for number in 0... {
                let call = Submission(client: client, key: "\(caller)-\(number)")
                do throws(RPCError) {
                    let response = try await channel.orders.submitOrder(call.request, options: patient)
                    outcomes.note(call, .success(response.order?.id ?? ""))
                } catch {
                    return outcomes.note(call, .failure(error))
                }
            }
        }

        /// Sends everything again to the successor: what it had not before, and only that, is new to it.
        private func checkTruth(_ outcomes: Outcomes, _ server: ServerProcess) async throws {
            let all = outcomes.all
            #expect(all.count { (try? $0.outcome.get()) != nil } >= Self.ordersBeforeTheSignal)
            for client in 0..<Self.clientCount {
                try await server.withChannel("client-\(client)") { channel in
                    for (submission, outcome) in all where submission.client == client {
                        let again = try await channel.orders.submitOrder(submission.request, options: patient)
                        switch outcome {
                        case .success(let id):
                            #expect(again.replayed && again.order?.id == id, "\(submission.key) was accepted, and is lost")
                        case .failure(let error):
                            #expect(error.code == .unavailable, "\(error)")
                            if error.disposition == .notExecuted { #expect(!again.replayed, "\(submission.key) was carried out: \(error)") }
                        }
                    }
                }
            }
            try await server.withChannel("client-0") { channel in
                for (submission, _) in all where submission.client == 0 {
                    let order = try await channel.orders.submitOrder(submission.request, options: patient).order
                    _ = try await channel.orders.settled(order?.id ?? "")
                }
                // Orders of the others may still be on their way to their end.
                let log = try await channel.orders.allCompletions()
                #expect(log.map(\.sequence) == (1...Int64(log.count)).map { $0 })
            }
        }

        private var products: [Catalog.Product] {
            [Catalog.Product(
                id: "p", name: "Product", category: "Things", price: .init(currencyCode: "USD", units: 1), stock: 1_000_000)]
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
        return counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }
}
