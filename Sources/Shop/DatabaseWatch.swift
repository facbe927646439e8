import MongoDB
import RPC
import Synchronization

/// Whether the database was last found to be away. Then one call now and then tries it, and all others fail at once: a call that had
/// to wait for its turn behind others that wait in vain would hear of it long after 3 s.
///
/// "Away" is what took long to find out: no server to be found, or no answer. A connection that breaks is no such thing.
final class DatabaseWatch: Sendable {
    /// When a call may try again, in microseconds; 0 while the database is there.
    private let nextProbe = Atomic<UInt64>(0)

    enum Admission: Sendable {
        case tries
        /// It was away, and this call finds out whether it still is.
        case probes
        case fails
    }

    func admit(at now: MonotonicTime = .now) -> Admission {
        let probe = nextProbe.load(ordering: .relaxed)
        guard probe != 0 else { return .tries }
        guard now.microseconds >= probe else { return .fails }
        // Nobody else while this one tries.
        let next = now.advanced(by: Limits.probeTime).microseconds
        return nextProbe.compareExchange(expected: probe, desired: next, ordering: .relaxed).exchanged ? .probes : .fails
    }

    /// An operation that began at `start` has come back, with `error` or none.
    func end(_ admission: Admission, _ error: MongoError?, since start: MonotonicTime, at now: MonotonicTime = .now) {
        let isAway = error.map { Self.isAway($0, after: now.microseconds(since: start)) } ?? false
        // Not at once: what waits for a worker has waited long enough, and is to fail before somebody tries again.
        let next = now.advanced(by: Limits.databaseRetryDelay).microseconds
        switch admission {
        case .probes: nextProbe.store(isAway ? next : 0, ordering: .relaxed)
        case .tries: if isAway { _ = nextProbe.compareExchange(expected: 0, desired: next, ordering: .relaxed) }
        case .fails: break
        }
    }

    private static func isAway(_ error: MongoError, after microseconds: UInt64) -> Bool {
        switch error.kind {
        case .serverSelection: true
        case .network: microseconds >= UInt64(Limits.silenceOfDatabase.wholeMicroseconds)
        default: false
        }
    }
}
