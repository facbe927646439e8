import Glibc
import ProtoShop
import RPC
import RPCClient
import ShopClient
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// Two servers on one database, and clients that know both, with nothing configured.
    @Suite struct ServersTests {
        private static let callers = 8
        private static let ordersBetween = 150

        /// Both are stopped and started again in turn, and one is killed: no order fails, each is there once, and a subscriber hears of all.
        @Test func serversComeAndGoUnderLoad() async throws {
            try await withMongod { uri in
                let endpoints = [ServerProcess.freeEndpoint(), ServerProcess.freeEndpoint()]
                var servers: [ServerProcess] = []
                for endpoint in endpoints { servers.append(try await .start(.external(uri: uri), at: endpoint)) }
                let channel = try Channel(to: endpoints, name: "tester")
                defer { channel.close() }
                let product = Catalog.Product(
                    id: "p", name: "Product", category: "Things", price: .init(currencyCode: "USD", units: 1), stock: 1_000_000)
                try await channel.catalog.importAll([product])

                let load = Load(channel)
                async let loading: Void = load.run(callers: Self.callers)
                for (index, signal) in [(0, SIGTERM), (1, SIGTERM), (0, SIGKILL), (1, SIGKILL), (0, SIGTERM)] {
                    try await load.more(Self.ordersBetween)
                    servers[index].process.signal(signal)
                    let end = await servers[index].process.ended()
                    #expect(end == (signal == SIGTERM ? .exited(0) : .killed(SIGKILL)))
                    try await load.more(Self.ordersBetween)
                    servers[index] = try await .start(.external(uri: uri), at: endpoints[index])
                }
                load.stop()
                await loading

                #expect(load.failures.isEmpty, "\(load.failures.count) failed, first: \(load.failures.first.map { "\($0)" } ?? "")")
                let auditor = try Auditor(endpoints[0], count: load.accepted.count)
                let heard = try await auditor.completions()
                #expect(Set(heard.map(\.orderId)) == Set(load.accepted) && load.accepted.count == Set(load.accepted).count)
                #expect(try await channel.catalog.getProduct(.init(id: "p")).product?.stock == 1_000_000 - Int64(load.accepted.count))
                for server in servers { await server.kill() }
            }
        }

        /// A subscriber's membership is at one server; when that is gone, it goes on at the other.
        @Test func aFeedGoesOnAtAnotherServer() async throws {
            try await withMongod { uri in
                let endpoints = [ServerProcess.freeEndpoint(), ServerProcess.freeEndpoint()]
                var servers: [ServerProcess] = []
                for endpoint in endpoints { servers.append(try await .start(.external(uri: uri), at: endpoint)) }
                let channel = try Channel(to: endpoints, name: "tester")
                defer { channel.close() }
                let product = Catalog.Product(
                    id: "p", name: "Product", category: "Things", price: .init(currencyCode: "USD", units: 1), stock: 1_000_000)
                try await channel.catalog.importAll([product])
                var feed = CompletionFeed(channel, group: "feed", after: 0).makeAsyncIterator()
                for (number, killed) in [(1, Int?.none), (2, 0), (3, nil), (4, 1), (5, nil)] {
                    if let killed {
                        await servers[killed].kill()
                        servers[killed] = try await .start(.external(uri: uri), at: endpoints[killed])
                    }
                    let id = try await channel.orders.submitOrder(
                        .init(idempotencyKey: "\(number)", lines: [.init(productId: "p", quantity: 1)]), options: patient).order?.id
                    // At least once: what was not acknowledged before a kill comes again.
                    while let completion = try await feed.next(), completion.orderId != id {}
                }
                for server in servers { await server.kill() }
            }
        }

        /// A call that waits for a killed server is answered when its successor is up, not when some timeout is over.
        @Test func aSuccessorAnswersAtOnce() async throws {
            try await withMongod { uri in
                let endpoint = ServerProcess.freeEndpoint()
                let first = try await ServerProcess.start(.external(uri: uri), at: endpoint)
                var configuration = ChannelConfiguration()
                configuration.connectTimeout = .seconds(60)
                let channel = try Channel(to: endpoint, name: "tester", configuration: configuration)
                defer { channel.close() }
                _ = try await channel.catalog.listProducts(.init(), options: patient)
                await first.kill()
                let waiting = Task {
                    _ = try await channel.catalog.listProducts(.init(), options: patient)
                    return ContinuousClock.now
                }
                let second = try await ServerProcess.start(.external(uri: uri), at: endpoint)
                let ready = ContinuousClock.now
                let delay = try await waiting.value - ready
                print("a waiting call was answered \(delay) after its server was ready")
                // Far below the 60 s of its timeouts, and far above what a busy machine takes.
                #expect(delay < .seconds(10))
                await second.kill()
            }
        }
    }
}

/// Callers that submit one order after the other, each with a key of its own.
private final class Load: Sendable {
    private struct State {
        var accepted: [String] = []
        var failures: [RPCError] = []
        var isOver = false
    }

    private let channel: RPCClient.Channel
    private let state = Mutex(State())

    init(_ channel: RPCClient.Channel) { self.channel = channel }

    var accepted: [String] { state.withLock { $0.accepted } }
    var failures: [RPCError] { state.withLock { $0.failures } }

    func run(callers: Int) async {
        await withTaskGroup(of: Void.self) { tasks in
            for caller in 0..<callers { tasks.addTask { await self.submit(caller) } }
        }
    }

    func stop() { state.withLock { $0.isOver = true } }

    /// Waits until so many more orders were accepted.
    func more(_ count: Int) async throws {
        let goal = accepted.count + count
        let deadline = Deadline.after(.seconds(60))
        while accepted.count < goal, !deadline.hasPassed { try await Task.sleep(for: .milliseconds(5)) }
        #expect(accepted.count >= goal, "the load stands still")
    }

    private func submit(_ caller: Int) async {
        var number = 0
        while !state.withLock({ $0.isOver }) {
            number += 1
            do throws(RPCError) {
                let response = try await channel.orders.submitOrder(
                    .init(idempotencyKey: "\(caller)-\(number)", lines: [.init(productId: "p", quantity: 1)]), options: patient)
                state.withLock { $0.accepted.append(response.order?.id ?? "") }
            } catch {
                state.withLock { $0.failures.append(error) }
            }
        }
    }
}
