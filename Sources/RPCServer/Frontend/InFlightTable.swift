import RPC

/// The calls that were admitted and are not answered yet.
///
/// Deadlines: instead of a heap, which would have to take out every call that ends in time, the table keeps a lower bound
/// of all deadlines and looks through its dense array only once that has passed, and at most every `minScanInterval`.
/// With 65,536 calls in flight such a look takes some tens of microseconds.
///
/// Pure: no thread, no clock, no I/O.
struct InFlightTable {
    /// Deadlines are kept to this precision, in microseconds.
    static let minScanInterval: UInt64 = 2_000

    private var calls: [Call] = []
    /// Deadline of the call at the same index, in nanoseconds: dense, for looking through.
    private var deadlines: [UInt64] = []
    /// No deadline lies before this.
    private var earliestDeadline = MonotonicTime(nanoseconds: .max)
    private var lastScan = MonotonicTime(nanoseconds: 0)

    /// Bytes of payload of all calls.
    private(set) var payloadBytes = 0

    var count: Int { calls.count }

    mutating func insert(_ call: Call) {
        call.tableIndex = calls.count
        calls.append(call)
        deadlines.append(call.deadline.time.nanoseconds)
        payloadBytes += call.payload.count
        earliestDeadline = min(earliestDeadline, call.deadline.time)
    }

    /// Takes a call out; false where it is out already.
    mutating func remove(_ call: Call) -> Bool {
        let index = call.tableIndex
        guard index >= 0 else { return false }
        call.tableIndex = -1
        payloadBytes -= call.payload.count
        let lastCall = calls.removeLast()
        let lastDeadline = deadlines.removeLast()
        if index < calls.count {
            calls[index] = lastCall
            deadlines[index] = lastDeadline
            lastCall.tableIndex = index
        }
        return true
    }

    /// When `takeExpired` wants to be called next; nil where no call is in flight.
    var nextScan: MonotonicTime? {
        guard !calls.isEmpty else { return nil }
        return max(earliestDeadline, lastScan.advanced(byMicroseconds: Self.minScanInterval))
    }

    /// Takes out the calls whose deadline has passed.
    mutating func takeExpired(at now: MonotonicTime) -> [Call] {
        guard let nextScan, now >= nextScan else { return [] }
        lastScan = now
        var expired: [Call] = []
        var earliest = UInt64.max
        for (index, deadline) in deadlines.enumerated() {
            if deadline <= now.nanoseconds { expired.append(calls[index]) } else { earliest = min(earliest, deadline) }
        }
        earliestDeadline = MonotonicTime(nanoseconds: earliest)
        return expired.filter { remove($0) }
    }

    /// Takes out all calls.
    mutating func takeAll() -> [Call] {
        let all = calls
        return all.filter { remove($0) }
    }

    /// When the oldest waiting call arrived: for PONG.
    var oldestArrival: MonotonicTime? { calls.lazy.filter { $0.started == nil }.map(\.arrival).min() }
}
