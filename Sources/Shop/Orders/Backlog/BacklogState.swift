import RPC

/// How many orders wait to be settled, as far as this server knows, and how many may: without I/O and clocks.
///
/// The number is counted in the database now and then. In between, orders that this server accepts add to it, and what the cluster settles,
/// as the sequence in the lease's document tells, takes from it. What other servers accept is seen by the next count.
struct BacklogState: Sendable, Equatable {
    /// How long what waits may take to settle.
    let longest: Duration
    /// Orders that wait.
    private(set) var waiting: Int64 = 0
    /// Orders settled a second, measured while there was no lack of them. Nil before there ever was enough to do.
    private(set) var rate: Double?
    private var last: Observation?

    private struct Observation: Sendable, Equatable {
        var sequence: Int64
        var waiting: Int64
        var time: MonotonicTime
    }

    init(longest: Duration) { self.longest = longest }

    /// Orders that may wait: so many seconds' work, and never less than what an idle server must be able to take at once.
    var limit: Int64 {
        guard let rate else { return Limits.minBacklog }
        let seconds = longest / .seconds(1)
        return max(Limits.minBacklog, Int64(min(rate * seconds, Double(Int64.max / 2))))
    }

    /// When to try again, where there is no room for more orders.
    var refusal: Duration? {
        let excess = waiting - limit
        guard excess >= 0 else { return nil }
        guard let rate, rate > 0 else { return Limits.backlogRetryDelay.upperBound }
        let seconds = min(Double(excess) / rate, Limits.backlogRetryDelay.upperBound / .seconds(1))
        return max(.milliseconds(Int64(seconds * 1000)), Limits.backlogRetryDelay.lowerBound)
    }

    /// This server has stored new orders.
    mutating func didAccept(_ count: Int) { waiting += Int64(count) }

    /// The cluster's last sequence number is this. Settling was busy where a batch was waiting before and after.
    mutating func didSee(sequence: Int64, at time: MonotonicTime) {
        if let last {
            let settled = max(0, sequence - last.sequence)
            waiting = max(0, waiting - settled)
            let elapsed = Double(time.microseconds(since: last.time)) / 1_000_000
            let busy = Int64(Limits.maxSettlementWrites)
            if elapsed > 0, last.waiting >= busy, waiting >= busy { learn(Double(settled) / elapsed, over: elapsed) }
        }
        last = Observation(sequence: sequence, waiting: waiting, time: time)
    }

    /// As many were waiting in the database, when its last sequence number was `sequence`.
    ///
    /// - Parameter accepted: by this server while it was counted. They may have been counted, or not: too many is the safe side.
    mutating func didCount(_ count: Int64, sequence: Int64, acceptedMeanwhile accepted: Int64, at time: MonotonicTime) {
        didSee(sequence: sequence, at: time)
        waiting = count + accepted
        last?.waiting = waiting
    }

    /// A short measurement counts less than a long one, so that neither a single slow commit nor a change of settlers cuts the limit.
    private mutating func learn(_ measured: Double, over elapsed: Double) {
        guard let known = rate else {
            rate = measured
            return
        }
        rate = known + (measured - known) * min(1, elapsed / (Limits.settlingRateMemory / .seconds(1)))
    }
}
