import RPC

/// What came of a phase's calls.
struct PhaseReport: CustomStringConvertible {
    let phase: Phase
    let start: MonotonicTime
    /// Calls that were due.
    let offered: Int
    /// What the generator itself took of one core: where it nears 1, it is what limits the figures.
    let processorShare: Double
    var samples: [Sample] = []

    /// Until the server was normal again after the phase before: the end of the last tenth of a second in which a call did not
    /// succeed, or the slowest hundredth took longer than `normalLatency`.
    var normalAfter: Duration {
        let windows = Dictionary(grouping: samples) { $0.intended.microseconds(since: start) / Self.windowMicroseconds }
        let disturbed = windows.filter { _, samples in
            samples.contains { $0.outcome != .succeeded } || Self.percentile(0.99, of: samples) > Self.normalLatency
        }
        // What disturbs a window long after is the machine, not what was before.
        var last: UInt64 = 0
        while disturbed[last] != nil { last += 1 }
        return .microseconds(Int64(last * Self.windowMicroseconds))
    }

    private static let windowMicroseconds: UInt64 = 100_000
    private static let normalLatency = Duration.milliseconds(50)

    var description: String {
        let succeeded = samples.filter { $0.outcome == .succeeded }
        let refused = samples.filter { $0.outcome == .refused }
        func count(_ outcome: Sample.Outcome) -> Int { samples.count { $0.outcome == outcome } }
        func milliseconds(_ duration: Duration) -> String {
            let tenths = (duration.components.attoseconds / 100_000_000_000_000) + duration.components.seconds * 10_000
            return "\(tenths / 10).\(tenths % 10)"
        }
        func perSecond(_ count: Int) -> Int { Int(Double(count) / phase.seconds) }
        let fields: [(String, Any)] = [
            ("offered", perSecond(offered)), ("goodput", perSecond(succeeded.count)), ("refused", perSecond(refused.count)),
            ("expired", perSecond(count(.expired))), ("failed", count(.failed)),
            ("success_percent", Double(succeeded.count * 1000 / max(1, samples.count)) / 10),
            ("p50_ms", milliseconds(Self.percentile(0.5, of: succeeded))),
            ("p99_ms", milliseconds(Self.percentile(0.99, of: succeeded))),
            ("p99_9_ms", milliseconds(Self.percentile(0.999, of: succeeded))),
            ("refusal_p99_ms", milliseconds(Self.percentile(0.99, of: refused))),
            ("generator_cpu", Double(Int(processorShare * 100)) / 100), ("normal_after_ms", milliseconds(normalAfter)),
        ]
        return fields.map { "\($0.0)=\($0.1)" }.joined(separator: " ")
    }

    /// Latency that `share` of the samples did not exceed; zero where there are none.
    private static func percentile(_ share: Double, of samples: [Sample]) -> Duration {
        let sorted = samples.map(\.latency).sorted()
        return sorted.isEmpty ? .zero : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }
}
