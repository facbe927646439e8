import RPC

/// So many calls in flight at any time, each followed by the next: what a server can do for callers that wait for their answers.
package struct ClosedLoop: Sendable {
    let inFlight: Int
    let seconds: Double

    package init(inFlight: Int, seconds: Double) {
        self.inFlight = inFlight
        self.seconds = seconds
    }

    /// What came of it. Only calls that began after the warm-up and ended in time count.
    package struct Outcome: Sendable {
        package let callsPerSecond: Int
        /// Ascending.
        private let latencies: [UInt32]

        fileprivate init(latencies: [UInt32], seconds: Double) {
            self.latencies = latencies.sorted()
            callsPerSecond = Int(Double(latencies.count) / seconds)
        }

        /// The latency that `share` of the calls did not exceed; 0 where there were none.
        package func microseconds(_ share: Double) -> Double {
            latencies.isEmpty ? 0 : Double(latencies[min(latencies.count - 1, Int(Double(latencies.count) * share))]) / 1000
        }
    }

    /// Runs `call` again and again, in as many tasks as calls are to be in flight.
    package func run(_ call: @escaping @Sendable () async throws -> Void) async throws -> Outcome {
        let start = MonotonicTime.now.advanced(by: Self.warmUp)
        let end = start.advanced(by: .seconds(seconds))
        let latencies = try await withThrowingTaskGroup(of: [UInt32].self) { group in
            for _ in 0..<inFlight { group.addTask { try await Self.repeating(call, from: start, until: end) } }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        return Outcome(latencies: latencies, seconds: seconds)
    }

    private static let warmUp = Duration.milliseconds(500)

    private static func repeating(
        _ call: @Sendable () async throws -> Void, from start: MonotonicTime, until end: MonotonicTime
    ) async throws -> [UInt32] {
        var latencies: [UInt32] = []
        while true {
            let before = MonotonicTime.now
            if before >= end { return latencies }
            try await call()
            let after = MonotonicTime.now
            if before >= start, after < end { latencies.append(UInt32(clamping: after.nanoseconds - before.nanoseconds)) }
        }
    }
}
