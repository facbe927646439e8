import RPC

/// How long orders are left to gather after an insert of few, before the next insert begins: without I/O and clocks.
///
/// An insert costs the database as much as twenty orders in it, so callers who do not wait for each other are served for less by fewer
/// inserts. Those who do wait for each other's answers only lose by a pause. What tells them apart is when calls come: once
/// answered, the latter come back at once and then stay away, while the former come at any time. So it is counted how many come in the
/// first half of a pause, and how many in the second.
struct InsertPause: Sendable {
    /// The last pause, until the batch after it is looked at.
    private var last: (start: MonotonicTime, middle: MonotonicTime)?
    /// Calls that came in the halves of pauses; the older, the less they count.
    private var (early, late) = (0.0, 0.0)
    /// Batches for which there is none, as pauses brought too little.
    private var batchesWithout = 0

    /// A batch begins whose calls arrived at these times.
    mutating func begins(_ arrivals: some Sequence<MonotonicTime>) {
        guard let last else { return }
        self.last = nil
        early *= Self.memory
        late *= Self.memory
        for arrival in arrivals where arrival >= last.start {
            if arrival < last.middle { early += 1 } else { late += 1 }
        }
        if early + late >= Self.evidence && late < early / 2 { batchesWithout = Limits.insertsWithoutPause }
    }

    /// What a pause counts for less with each one after it.
    private static let memory = 0.9375
    /// Calls from which on halves are compared: of so many that come at any time hardly ever a third come late. Two callers
    /// who come back at once are so many after some twenty pauses.
    private static let evidence = 24.0

    /// A batch of so many calls was answered: how long to wait now.
    mutating func ends(calls: Int, at time: MonotonicTime) -> Duration {
        guard calls > 1, calls < Limits.ordersForAnotherInsert else { return .zero }
        guard batchesWithout == 0 else {
            batchesWithout -= 1
            return .zero
        }
        last = (time, time.advanced(by: Limits.insertPause / 2))
        return Limits.insertPause
    }
}
