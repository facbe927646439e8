import Glibc
import MongoDB
import Synchronization

extension ClientPool {
    /// A pool of a test, which need not wait for its end.
    ///
    /// That takes libmongoc half a second, as its monitors look no more often whether they are to go on. So a thread holds the pool, too,
    /// and is the last one to let it go.
    package static func passing(
        uri: String, appName: String, size: Int = 100, timeouts: Timeouts
    ) throws(MongoError) -> ClientPool {
        let pool = try ClientPool(uri: uri, appName: appName, size: size, timeouts: timeouts)
        Passing.shared.hold(pool)
        return pool
    }
}

/// Lets pools go that nobody else has any more.
private final class Passing: Sendable {
    static let shared: Passing = {
        // Libraries end after this: nothing of them may be in use by then.
        atexit { Passing.shared.waitUntilEnded() }
        return Passing()
    }()

    private static let look: UInt32 = 10_000
    private let endingCount = Atomic(0)

    func hold(_ pool: ClientPool) {
        let held = Mutex<ClientPool?>(pool)
        pthread_detach(startThread { [self] in
            while !held.withLock({ isKnownUniquelyReferenced(&$0) }) { usleep(Self.look) }
            endingCount.add(1, ordering: .sequentiallyConsistent)
            held.withLock { $0 = nil }
            endingCount.subtract(1, ordering: .sequentiallyConsistent)
        })
    }

    private func waitUntilEnded() {
        for _ in 0..<500 where endingCount.load(ordering: .sequentiallyConsistent) > 0 { usleep(Self.look) }
    }
}
