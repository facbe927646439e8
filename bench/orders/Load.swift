import BenchClosedLoop
import Glibc
import ProtoShop
import RPC
import RPCClient
import Synchronization

/// Orders, as many at a time or a second as are asked for, of one client.
final class Load: Sendable {
    private let channel: Channel
    private let orders: Orders.OrderService.Client
    private let shopper: Shopper
    private let completions = Completions()
    /// Orders that were accepted, the warm-up's included.
    private let accepted = Atomic<Int>(0)

    init(_ channel: Channel, _ shopper: Shopper) {
        self.channel = channel
        self.orders = Orders.OrderService.Client(channel)
        self.shopper = shopper
    }

    private func submit(_ order: Orders.SubmitOrderRequest) async throws {
        let answer = try await orders.submitOrder(order)
        precondition(answer.order?.state == .accepted && !answer.replayed, "an order was not accepted")
        accepted.add(1, ordering: .relaxed)
    }

    /// Orders that are submitted, each followed by the next once it is accepted.
    func accept(inFlight: Int, seconds: Double) async throws -> String {
        let cpu = ProcessorTime.seconds
        let outcome = try await ClosedLoop(inFlight: inFlight, seconds: seconds).run { try await self.submit(self.shopper.order()) }
        return line(outcome, since: cpu)
    }

    /// So many orders, with 1,024 in flight.
    func fill(_ count: Int) async throws -> String {
        let (cpu, start) = (ProcessorTime.seconds, MonotonicTime.now)
        try await withThrowingTaskGroup(of: Void.self) { group in
            let inFlight = 1024
            for task in 0..<inFlight {
                group.addTask {
                    for _ in stride(from: task, to: count, by: inFlight) { try await self.submit(self.shopper.order()) }
                }
            }
            try await group.waitForAll()
        }
        let seconds = Double(MonotonicTime.now.microseconds(since: start)) / 1_000_000
        return "orders_per_s=\(Int(Double(count) / seconds)) cpu_us=\(self.each(ProcessorTime.seconds - cpu)) calls=\(count)"
    }

    /// Orders that are submitted, each followed by the next once its completion was received.
    func settle(inFlight: Int, seconds: Double) async throws -> String {
        let cpu = ProcessorTime.seconds
        return try await withCompletions {
            let outcome = try await ClosedLoop(inFlight: inFlight, seconds: seconds).run {
                let order = self.shopper.order()
                self.completions.expect(order.idempotencyKey)
                try await self.submit(order)
                _ = await self.completions.arrival(of: order.idempotencyKey)
            }
            return self.line(outcome, since: cpu)
        }
    }

    private func withCompletions<Result: Sendable>(_ body: @Sendable () async throws -> Result) async throws -> Result {
        let reader = Task { try await completions.read(channel) }
        let result = try await body()
        reader.cancel()
        _ = await reader.result
        return result
    }

    private func line(_ outcome: ClosedLoop.Outcome, since cpu: Double) -> String {
        "orders_per_s=\(outcome.callsPerSecond) p50_us=\(Int(outcome.microseconds(0.5))) p99_us=\(Int(outcome.microseconds(0.99)))"
            + " cpu_us=\(self.each(ProcessorTime.seconds - cpu)) calls=\(accepted.load(ordering: .relaxed))"
    }

    /// Microseconds an order, with one decimal.
    private func each(_ seconds: Double) -> Double {
        (seconds * 10_000_000 / Double(max(1, accepted.load(ordering: .relaxed)))).rounded() / 10
    }
}

// MARK: - At a rate

extension Load {
    /// Orders that are submitted when they are due, at random moments, whatever became of those before. The time is from an
    /// order's acceptance, as its client heard of it, to the receipt of its completion; none where that came first.
    func notify(rate: Double, seconds: Double) async throws -> String {
        let cpu = ProcessorTime.seconds
        return try await withCompletions {
            // Until the subscription stands, all wait.
            try await self.time(of: self.shopper.order())
            let start = MonotonicTime.now
            let end = start.advanced(by: .seconds(seconds))
            let times = try await withThrowingTaskGroup(of: UInt64.self) { group in
                var next = start
                while next < end {
                    let now = MonotonicTime.now
                    while next <= now, next < end {
                        group.addTask { try await self.time(of: self.shopper.order()) }
                        next.nanoseconds += UInt64(-log(Double.random(in: Double.leastNonzeroMagnitude..<1)) * 1e9 / rate)
                    }
                    // Each tick costs a processor some tens of microseconds, which the server then has not.
                    try await Task.sleep(for: .milliseconds(1))
                }
                var times: [UInt64] = []
                for try await time in group { times.append(time) }
                return times.sorted()
            }
            let share = { (share: Double) in times.isEmpty ? 0 : times[min(times.count - 1, Int(Double(times.count) * share))] }
            return "orders_per_s=\(Int(Double(times.count) / seconds)) p50_us=\(share(0.5)) p99_us=\(share(0.99))"
                + " max_us=\(times.last ?? 0) cpu_us=\(self.each(ProcessorTime.seconds - cpu)) calls=\(self.accepted.load(ordering: .relaxed))"
        }
    }

    @discardableResult
    private func time(of order: Orders.SubmitOrderRequest) async throws -> UInt64 {
        completions.expect(order.idempotencyKey)
        try await submit(order)
        let accepted = MonotonicTime.now
        let received = await completions.arrival(of: order.idempotencyKey)
        return received > accepted ? received.microseconds(since: accepted) : 0
    }
}
