import MongoDB
import RPC
import Synchronization

/// The newest snapshot of the catalogue that this server has read, shared by its calls.
///
/// A call may use any snapshot whose reading began after the call had arrived: it is not older than one that the call would
/// have read itself. So under load one small read serves all calls that were waiting when it began.
final class CatalogSnapshots: Sendable {
    struct Reading: Sendable {
        var snapshot: CatalogSnapshot
        /// When it was begun.
        fileprivate var begun: MonotonicTime
        /// When the database was asked, in its own time, if nothing was being written then.
        var quietTime: ClusterTime?
        /// Whether it was begun for another call: that happens only where calls wait for each other.
        var isShared = false
    }

    private let categories: CategoryStore
    private let newest = Mutex<Reading?>(nil)

    init(categories: CategoryStore) { self.categories = categories }

    /// A reading that a page may be read with before it is known whether it still holds: the page's reply may tell. Nil where nothing is to
    /// be gained: there is one that is not older than `arrival`, or something was being written; and where it is so old that somebody may
    /// well have changed the catalogue since, and the page would be read twice.
    func guess(since arrival: MonotonicTime, at now: MonotonicTime = .now) -> Reading? {
        newest.withLock { newest in
            guard let known = newest, known.quietTime != nil, known.begun <= arrival else { return nil }
            return now < known.begun.advanced(by: Limits.likelyUnchanged) ? known : nil
        }
    }

    /// After `time`, the database told the quiet time of a guess: nothing was written since, and a reading that was begun at `time` would
    /// be the same.
    func confirm(_ guess: Reading, since time: MonotonicTime) {
        newest.withLock { newest in
            guard let known = newest, known.quietTime == guess.quietTime, known.begun < time else { return }
            newest?.begun = time
        }
    }

    /// A reading that is not older than `arrival`.
    func reading(
        since arrival: MonotonicTime, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Reading {
        let known = newest.withLock { $0 }
        if var known, known.begun > arrival {
            known.isShared = true
            return known
        }
        let begun = MonotonicTime.now
        let (stamp, quietTime) = try categories.stamp(client, before: deadline)
        let snapshot: CatalogSnapshot
        if let known, known.snapshot.stamp == stamp {
            snapshot = known.snapshot
        } else {
            snapshot = try categories.snapshot(client, before: deadline)
        }
        let reading = Reading(snapshot: snapshot, begun: begun, quietTime: quietTime)
        newest.withLock { newest in
            if newest.map({ $0.begun < begun }) ?? true { newest = reading }
        }
        return reading
    }
}
