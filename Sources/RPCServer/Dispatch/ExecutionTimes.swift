/// How long a method's batches took lately, for the question whether a call can still be done in the time that it has left.
///
/// The estimate is an honest one of the last 128 batches: all but one of them were faster. It must not shut a method for good:
/// after a stall of the database, all that is known is slow, and what is not tried teaches nothing. So each time the
/// estimate kept a whole batch from running, all that is remembered shrinks by a sixteenth, until calls get through again
/// and show how long they take now.
///
/// Pure: no thread, no clock, no I/O.
struct ExecutionTimes {
    /// Nanoseconds that nearly all batches stay below; 0 where too few are known.
    private(set) var p99: UInt64 = 0

    private var latest: [UInt64] = []
    private var next = 0
    private var sinceLook = 0

    /// Batches that are remembered.
    static let capacity = 128
    /// Fewer than that say nothing about the slowest in a hundred.
    static let fewest = 100
    /// The slowest are looked for once in so many batches: the look costs some tens of nanoseconds.
    private static let lookInterval = 16

    /// A batch took so long.
    mutating func add(_ nanoseconds: UInt64) {
        if latest.count < Self.capacity { latest.append(nanoseconds) } else { latest[next] = nanoseconds }
        next = (next + 1) % Self.capacity
        sinceLook += 1
        if sinceLook >= Self.lookInterval { look() }
    }

    /// The estimate was in the way of a whole batch.
    mutating func refuse() {
        for index in latest.indices { latest[index] -= latest[index] / 16 }
        look()
    }

    private mutating func look() {
        sinceLook = 0
        guard latest.count >= Self.fewest else { return }
        var (slowest, second): (UInt64, UInt64) = (0, 0)
        for time in latest {
            if time > slowest { (slowest, second) = (time, slowest) } else if time > second { second = time }
        }
        p99 = second
    }
}
