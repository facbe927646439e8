import MongoDB
import RPC
import Testing

@testable import Shop

@Suite("Watching the database")
struct DatabaseWatchTests {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)
    private var late: MonotonicTime { start.advanced(by: Limits.silenceOfDatabase) }

    @Test("while it is there, all calls try it, whatever else goes wrong")
    func there() {
        let watch = DatabaseWatch()
        watch.end(.tries, MongoError(.network, ""), since: start, at: start.advanced(by: .milliseconds(10)))
        #expect(watch.admit(at: late) == .tries)
        // Broken, looked for during a second, and broken again.
        watch.end(.tries, MongoError(.network, ""), since: start, at: start.advanced(by: .milliseconds(1_010)))
        #expect(watch.admit(at: late) == .tries)
        for kind in [MongoError.Kind.timeout, .writeConflict, .duplicateKey, .server, .notPrimary] {
            watch.end(.tries, MongoError(kind, ""), since: start, at: late)
            #expect(watch.admit(at: late) == .tries, "\(kind)")
        }
    }

    @Test("once it is away, all calls fail for a while, and then one at a time tries it", arguments: [MongoError.Kind.serverSelection, .network])
    func away(kind: MongoError.Kind) {
        let watch = DatabaseWatch()
        watch.end(.tries, MongoError(kind, ""), since: start, at: late)
        #expect(watch.admit(at: late) == .fails)
        let first = late.advanced(by: Limits.databaseRetryDelay)
        #expect(watch.admit(at: first) == .probes)
        #expect(watch.admit(at: first) == .fails)
        let later = first.advanced(by: Limits.silenceOfDatabase)
        // One that had begun before comes back late, and changes nothing.
        watch.end(.tries, MongoError(kind, ""), since: start, at: later)
        watch.end(.probes, MongoError(kind, ""), since: first, at: later)
        #expect(watch.admit(at: later) == .fails)
        let second = later.advanced(by: Limits.databaseRetryDelay)
        #expect(watch.admit(at: second) == .probes)
        watch.end(.probes, nil, since: second, at: second)
        #expect(watch.admit(at: second) == .tries)
    }

    @Test("a probe that never comes back keeps nobody out for ever")
    func lost() {
        let watch = DatabaseWatch()
        watch.end(.tries, MongoError(.serverSelection, ""), since: start, at: late)
        let probe = late.advanced(by: Limits.databaseRetryDelay)
        #expect(watch.admit(at: probe) == .probes)
        #expect(watch.admit(at: probe.advanced(by: Limits.probeTime)) == .probes)
    }
}
