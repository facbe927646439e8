import ProtoShop
import RPC
import RPCClient
import ShopClient
import Synchronization
import TestSupport
import Testing

/// Clients that submit orders, follow them and hear of them, and note all of it, while things fail around them.
///
/// Some products run out on the way; some keys are sent twice at once.
final class OrderLoad: Sendable {
    let history = History()
    private let endpoints: [String]
    private let seed: UInt64
    private let isOver = Atomic(false)
    private let acceptedCount = Atomic(0)
    private let listeners = Mutex<[Listener]>([])

    private static let clients = 3
    private static let callersOfAClient = 4
    /// Whether a call is tried once only, so that its caller hears of each failure.
    private let triesOnce: Bool

    static let products: [Catalog.Product] = (0..<8).map { number in
        Catalog.Product(
            id: "p\(number)", name: "Product \(number)", category: "Things",
            price: .init(currencyCode: "USD", units: Int64(number), nanos: 250_000_000), stock: number < 6 ? 1_000_000 : 60)
    }

    init(_ endpoints: [String], seed: UInt64, triesOnce: Bool = false) {
        self.endpoints = endpoints
        self.seed = seed
        self.triesOnce = triesOnce
    }

    /// Fills the shelves, runs `body` while clients submit, and returns what the checker finds once all has come to rest.
    ///
    /// - Parameter mongodb: where the database is, at the end.
    func run(
        mongodb: String, listenersPatience: Duration = .seconds(60), _ body: (OrderLoad) async throws -> Void
    ) async throws -> [Checker.Finding] {
        let channel = try channel("keeper")
        try await channel.catalog.importAll(Self.products)
        channel.close()
        try listen(.init(name: "everything", submitter: nil), as: "auditor")
        try listen(.init(name: "own", submitter: "client-0"), as: "client-0")
        defer { for listener in listeners.withLock({ $0 }) { listener.close() } }
        let clients = Task { try await submitAll() }
        do {
            try await body(self)
        } catch {
            isOver.store(true, ordering: .relaxed)
            clients.cancel()
            throw error
        }
        isOver.store(true, ordering: .relaxed)
        try await clients.value
        try await drain(mongodb)
        let contents = try ShopContents(in: mongodb)
        for listener in listeners.withLock({ $0 }) { await listener.hears(contents, within: listenersPatience) }
        print("seed \(seed): \(contents.orders.count) orders, \(contents.settlements.count) settlements, \(history.summary)")
        return Checker(
            history, contents, initialStock: Dictionary(uniqueKeysWithValues: Self.products.map { ($0.id, $0.stock) })
        ).findings()
    }

    /// Waits until so many more orders were accepted.
    func more(_ count: Int, within limit: Duration = .seconds(60)) async throws {
        let goal = acceptedCount.load(ordering: .relaxed) + count
        let deadline = ContinuousClock.now + limit
        while acceptedCount.load(ordering: .relaxed) < goal, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(2)) }
        #expect(acceptedCount.load(ordering: .relaxed) >= goal, "the load stands still")
    }

    /// The highest number of which anybody was told so far.
    var lastTold: Int64 {
        history.events.reduce(0) { last, event in if case .notified(_, let completion) = event { max(last, completion.sequence) } else { last } }
    }

    /// Every order has come to its end, or will not.
    private func drain(_ mongodb: String) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try ShopContents.queueLength(in: mongodb) > 0, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(50)) }
    }

    private func channel(_ name: String) throws -> RPCClient.Channel {
        var configuration = ChannelConfiguration()
        if triesOnce { configuration.retry = .never }
        return try Channel(to: endpoints, name: name, configuration: configuration)
    }

    private func listen(_ subscriber: History.Subscriber, as identity: String) throws {
        history.note(.subscribed(subscriber))
        let listener = try Listener(Channel(to: endpoints, name: identity), subscriber, history)
        listeners.withLock { $0.append(listener) }
    }

    private func submitAll() async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for client in 0..<Self.clients {
                let channel = try channel("client-\(client)")
                tasks.addTask {
                    defer { channel.close() }
                    await withTaskGroup(of: Void.self) { callers in
                        for caller in 0..<Self.callersOfAClient {
                            callers.addTask {
                                var caller = Caller(self, channel, "client-\(client)", caller, self.seed)
                                await caller.run()
                            }
                        }
                    }
                }
            }
            try await tasks.waitForAll()
        }
    }

    /// Submits one order after the other.
    private struct Caller {
        let load: OrderLoad
        let orders: Orders.OrderService.Client
        let client: String
        let name: Int
        var random: SeededGenerator

        private static let options = CallOptions(timeout: .seconds(20))

        init(_ load: OrderLoad, _ channel: RPCClient.Channel, _ client: String, _ name: Int, _ seed: UInt64) {
            self.load = load
            self.client = client
            self.name = name
            orders = channel.orders
            random = SeededGenerator(seed: seed &+ UInt64(name) &* 7919 &+ UInt64(client.utf8.last ?? 0))
        }

        mutating func run() async {
            var number = 0
            while !load.isOver.load(ordering: .relaxed), !Task.isCancelled {
                number += 1
                var lines = ["p\(Int.random(in: 0..<8, using: &random))": Int64.random(in: 1...3, using: &random)]
                lines["p\(Int.random(in: 0..<8, using: &random))"] = 1
                let submission = History.Submission(client: client, key: "\(name)-\(number)", lines: lines)
                let isTwice = Int.random(in: 0..<5, using: &random) == 0
                let caller = self
                let again = isTwice ? Task { await caller.submit(submission) } : nil
                let id = await caller.submit(submission)
                _ = await again?.value
                guard let id else { return }
                load.acceptedCount.add(1, ordering: .relaxed)
                if Int.random(in: 0..<4, using: &random) == 0 { await follow(id) }
            }
        }

        /// Until it is accepted: what failed is sent again with the same key. Nil where that never comes to pass.
        private func submit(_ submission: History.Submission) async -> String? {
            let request = Orders.SubmitOrderRequest(
                idempotencyKey: submission.key, lines: submission.lines.map { .init(productId: $0.key, quantity: Int32($0.value)) })
            let deadline = ContinuousClock.now + .seconds(60)
            while ContinuousClock.now < deadline, !Task.isCancelled {
                load.history.note(.invoked(submission))
                do throws(RPCError) {
                    let id = try await orders.submitOrder(request, options: Self.options).order?.id ?? ""
                    load.history.note(.accepted(client: client, key: submission.key, id: id))
                    return id
                } catch {
                    let isRefused = error.disposition == .notExecuted
                    load.history.note(isRefused ? .refused(client: client, key: submission.key) : .unknown(client: client, key: submission.key))
                    let isExpected = [.unavailable, .deadlineExceeded, .resourceExhausted].contains(error.code)
                    if !isExpected { Issue.record("\(submission.key): \(error)") }
                    do { try await Task.sleep(for: .milliseconds(50)) } catch { return nil }
                }
            }
            Issue.record("\(client)/\(submission.key) was never accepted")
            return nil
        }

        /// Looks how the order stands until it is final, or cannot be seen.
        private func follow(_ id: String) async {
            for _ in 0..<20 {
                do throws(RPCError) {
                    guard let order = try await orders.waitOrder(.init(id: id, waitTime: .init(seconds: 1)), options: Self.options).order
                    else { return }
                    load.history.note(.observed(client: client, order))
                    if order.sequence > 0 { return }
                } catch {
                    return
                }
            }
        }
    }
}

/// A group's subscriber, over all restarts of servers.
private final class Listener: Sendable {
    private let channel: RPCClient.Channel
    private let subscriber: History.Subscriber
    private let heard = Mutex<Set<Int64>>([])
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(_ channel: RPCClient.Channel, _ subscriber: History.Subscriber, _ history: History) throws {
        self.channel = channel
        self.subscriber = subscriber
        let filter = subscriber.submitter == nil ? Orders.CompletionFilter.all : .mine
        let task = Task { [self] in
            do throws(RPCError) {
                for try await completion in CompletionFeed(channel, group: subscriber.name, filter: filter, after: 0) {
                    history.note(.notified(subscriber, completion))
                    heard.withLock { _ = $0.insert(completion.sequence) }
                }
            } catch {
                Issue.record("\(subscriber.name) hears no more: \(error)")
            }
        }
        self.task.withLock { $0 = task }
    }

    /// Returns when it has heard all that concerns it, or the time is over.
    func hears(_ contents: ShopContents, within limit: Duration) async {
        let wanted = Set(contents.rows.filter { subscriber.submitter == nil || subscriber.submitter == $0.identity }.map(\.sequence))
        let deadline = ContinuousClock.now + limit
        while !heard.withLock({ $0.isSuperset(of: wanted) }), ContinuousClock.now < deadline {
            do { try await Task.sleep(for: .milliseconds(20)) } catch { return }
        }
    }

    func close() {
        task.withLock { $0 }?.cancel()
        channel.close()
    }
}

extension History {
    /// How many of what, for people.
    fileprivate var summary: String {
        var counts: [String: Int] = [:]
        for event in events {
            switch event {
            case .invoked: counts["sent", default: 0] += 1
            case .accepted: counts["accepted", default: 0] += 1
            case .refused: counts["refused", default: 0] += 1
            case .unknown: counts["unknown", default: 0] += 1
            case .observed: counts["observed", default: 0] += 1
            case .notified: counts["notified", default: 0] += 1
            case .subscribed: break
            }
        }
        return counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }
}
