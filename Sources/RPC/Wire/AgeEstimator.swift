/// How long a request was on its way, without clocks that agree.
///
/// The difference (arrival - sent at) is the transit time plus an unknown constant, the offset of two monotonic clocks. The
/// smallest difference of the last minute stands for that constant; what a request exceeds it by, it has waited somewhere.
/// A client that lies about its clock harms its own session only. One estimator a session.
package struct AgeEstimator: Sendable {
    /// How long a smallest difference is trusted: between one and two of these. Clocks drift apart by some microseconds in it.
    package static let windowMicroseconds: UInt64 = 30_000_000

    private var current: Int64 = .max
    private var previous: Int64 = .max
    private var windowStart: UInt64 = 0

    package init() {}

    /// Microseconds that a request has waited before `arrival`. Both arguments in microseconds of their own clocks.
    package mutating func age(sentAt: UInt64, arrival: UInt64) -> UInt64 {
        if arrival &- windowStart >= Self.windowMicroseconds {
            // After a long silence even the previous window says nothing any more.
            previous = arrival &- windowStart >= 2 * Self.windowMicroseconds ? .max : current
            current = .max
            windowStart = arrival
        }
        let difference = Int64(bitPattern: arrival &- sentAt)
        current = min(current, difference)
        let (age, overflow) = difference.subtractingReportingOverflow(min(current, previous))
        return overflow ? 0 : UInt64(age)
    }
}
