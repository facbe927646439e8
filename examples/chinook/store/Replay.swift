import ChinookData
import ProtoShop
import RPC
import RPCClient
import ShopClient
import Terminal

/// One replay of all invoices.
struct Replay: Sendable {
    let orders: [Chinook.CustomerOrder]
    let server: String
    let group: String
    let end: ContinuousClock.Instant
    let bar: ProgressBar

    private static let auditor = "chinook-auditor"
    private static let pause = Duration.milliseconds(100)
    /// Time of one call.
    private static let callTime = Duration.seconds(5)

    private enum Part {
        case orders([Orders.Order])
        case notified([String: Orders.Completion])
        case timeIsOver
    }

    func run() async throws -> ReplayResult {
        try await withThrowingTaskGroup(of: Part.self) { tasks in
            tasks.addTask { .notified(try await receiveAll()) }
            for (customer, orders) in Dictionary(grouping: orders, by: \.customer) {
                tasks.addTask { .orders(try await submit(orders.map(\.request), as: customer)) }
            }
            tasks.addTask {
                do { try await Task.sleep(until: end, clock: .continuous) } catch {}
                return .timeIsOver
            }
            var result = ReplayResult(expected: orders.count)
            for try await part in tasks {
                switch part {
                case .orders(let orders): result.orders += orders
                case .notified(let completions): result.completions = completions
                case .timeIsOver: tasks.cancelAll()
                }
                if result.isComplete { tasks.cancelAll() }
            }
            return result
        }
    }

    /// Submits a customer's orders at once over a channel of its own, and returns them as they ended.
    private func submit(_ requests: [Orders.SubmitOrderRequest], as customer: String) async throws -> [Orders.Order] {
        let channel = try Channel(to: server, name: customer)
        defer { channel.close() }
        let client = Orders.OrderService.Client(channel)
        return try await withThrowingTaskGroup(of: Orders.Order?.self) { tasks in
            for request in requests {
                tasks.addTask { try await submit(request, client) }
            }
            return try await tasks.reduce(into: []) { orders, order in if let order { orders.append(order) } }
        }
    }

    /// Submits one order until the server has it, and waits for its end. Nil where the time was over before it was accepted.
    private func submit(
        _ request: Orders.SubmitOrderRequest, _ client: Orders.OrderService.Client
    ) async throws(RPCError) -> Orders.Order? {
        let options = CallOptions(timeout: Self.callTime)
        let accepted = try await persistently { () async throws(RPCError) in
            try await client.submitOrder(request, options: options).order
        }
        guard let accepted else { return nil }
        bar.advance()
        let final = try await persistently { () async throws(RPCError) in
            let order = try await client.waitOrder(.init(id: accepted.id), options: options).order
            return order?.state == .accepted ? nil : order
        }
        return final ?? accepted
    }

    /// Repeats a call until it has a result. Fails only where trying again cannot help. Nil when the time is over.
    private func persistently<Value>(
        _ call: () async throws(RPCError) -> Value?
    ) async throws(RPCError) -> Value? {
        while !Task.isCancelled {
            do throws(RPCError) {
                if let value = try await call() { return value }
            } catch {
                guard [.unavailable, .deadlineExceeded, .resourceExhausted, .cancelled].contains(error.code) else { throw error }
                do { try await Task.sleep(for: error.retryDelay ?? Self.pause) } catch { return nil }
            }
        }
        return nil
    }

    /// Receives completions until each order has its own. Repeats are told by their key.
    private func receiveAll() async throws -> [String: Orders.Completion] {
        let channel = try Channel(to: server, name: Self.auditor)
        defer { channel.close() }
        let submitters = Dictionary(uniqueKeysWithValues: orders.map { ($0.request.idempotencyKey, $0.customer) })
        var completions: [String: Orders.Completion] = [:]
        for try await completion in CompletionFeed(channel, group: group, filter: .all, after: 0) {
            guard submitters[completion.idempotencyKey] == completion.submitter else { continue }
            if completions.updateValue(completion, forKey: completion.idempotencyKey) == nil { bar.advance() }
            if completions.count == orders.count { break }
        }
        return completions
    }
}
