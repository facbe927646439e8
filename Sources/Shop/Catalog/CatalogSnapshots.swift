import MongoDB
import RPC
import Synchronization

/// The newest snapshot of the catalogue that this server has read, shared by its calls.
///
/// A call may use any snapshot whose reading began after the call had arrived: it is not older than one that the call would
/// have read itself. So under load one small read serves all calls that were waiting when it began.
final class CatalogSnapshots: Sendable {
    private struct Reading {
        var snapshot: CatalogSnapshot
        var begun: MonotonicTime
    }

    private let categories: CategoryStore
    private let newest = Mutex<Reading?>(nil)

    init(categories: CategoryStore) { self.categories = categories }

    /// A snapshot that is not older than `arrival`.
    func snapshot(
        since arrival: MonotonicTime, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> CatalogSnapshot {
        let known = newest.withLock { $0 }
        if let known, known.begun > arrival { return known.snapshot }
        let begun = MonotonicTime.now
        let stamp = try categories.stamp(client, before: deadline)
        let snapshot: CatalogSnapshot
        if let known, known.snapshot.stamp == stamp {
            snapshot = known.snapshot
        } else {
            snapshot = try categories.snapshot(client, before: deadline)
        }
        newest.withLock { newest in
            if newest.map({ $0.begun < begun }) ?? true { newest = Reading(snapshot: snapshot, begun: begun) }
        }
        return snapshot
    }
}
