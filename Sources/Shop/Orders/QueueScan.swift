import MongoDB
import RPC

/// Where to begin reading the queue of accepted orders.
///
/// The truth is its lowest entry, always: what a slow server or one whose clock was stepped back inserts late must not slip
/// under a mark. But the database keeps what was deleted at the low end for up to a minute, and skipping tens of thousands of
/// dead entries costs ten milliseconds a look. So most looks begin shortly before what was read last, and at least one a
/// second begins at the very bottom.
struct QueueScan: Sendable, Equatable {
    /// Orders older than what was read last by more than this wait for the next look at the bottom. Much longer than from an order's
    /// time to its insert, and short, as each look passes over all that has left the queue in this time.
    static let overlap = Duration.milliseconds(100)
    /// How often the bottom is looked at.
    static let sweepInterval = Duration.seconds(1)

    private var start: BSONDate?
    private var sweptAt: MonotonicTime?

    /// The accepted time to begin at; nil: the bottom.
    func start(at now: MonotonicTime) -> BSONDate? {
        guard let sweptAt, now < sweptAt.advanced(by: Self.sweepInterval) else { return nil }
        return start
    }

    /// A look from `start` returned orders up to `last` in order, or none.
    ///
    /// - Parameter isAll: whether the queue held no more than that.
    mutating func didRead(from start: BSONDate?, upTo last: BSONDate?, isAll: Bool, at now: MonotonicTime) {
        if start == nil { sweptAt = now }
        guard let last else { return }
        let overlap = Int64(Self.overlap.wholeMicroseconds / 1000)
        let next = BSONDate(millisecondsSince1970: last.millisecondsSince1970 - overlap)
        // What is left above `last` must be found by the next look, even where a look at the bottom went far back.
        self.start = isAll ? max(self.start ?? next, next) : next
    }

    /// Begins at the bottom next: something went wrong with what was read.
    mutating func startOver() { self = QueueScan() }
}
