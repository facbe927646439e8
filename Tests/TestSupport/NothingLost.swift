import ProtoRuntime
import Testing

extension Runtime.StatsResponse {
    /// Whether every message that was read is accounted for: received = answered + refused + dropped + in flight.
    package var isBalanced: Bool {
        receivedCount == answeredCount + refusedCounts.values.reduce(0, +) + droppedCounts.values.reduce(0, +) + Int64(inFlightCount)
    }
}

/// Nothing was lost silently, in a server that is quiet: the sum holds, and each call whose time was over is in it.
package func expectNothingLost(_ stats: Runtime.StatsResponse, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(stats.isBalanced, "\(stats)", sourceLocation: sourceLocation)
    #expect(stats.inFlightCount >= 0 && stats.sessionCount >= 0, "\(stats)", sourceLocation: sourceLocation)
    let expiredLater = stats.expiredCounts.filter { $0.key != "arrival" }.values.reduce(0, +)
    #expect(stats.expiredCounts["arrival"] ?? 0 == stats.refusedCounts["DEADLINE_EXCEEDED"] ?? 0, "\(stats)", sourceLocation: sourceLocation)
    #expect(
        expiredLater <= stats.answeredCount + stats.droppedCounts.values.reduce(0, +), "\(stats)", sourceLocation: sourceLocation)
}
