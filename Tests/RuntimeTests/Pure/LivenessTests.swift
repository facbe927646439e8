import RPC
@testable import RPCClient
import TestSupport
import Testing

/// When a server is asked for a sign of life, and what its silence means.
@Suite struct LivenessTests {
    /// Microseconds after the beginning of the session, with a heartbeat of 1,000.
    private func time(_ microseconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: 5_000_000_000 + microseconds * 1000) }

    private func fresh() -> Liveness { Liveness(heartbeat: 1000, silenceLimit: 3000, now: time(0)) }

    @Test func aPingIsDueTwiceAHeartbeat() {
        var liveness = fresh()
        #expect(!liveness.isPingDue(at: time(499)) && liveness.nextChange(after: time(0)) == time(500))
        #expect(liveness.isPingDue(at: time(500)))
        liveness.didPing(at: time(510))
        #expect(!liveness.isPingDue(at: time(5000)), "one at a time")
        liveness.heard()
        #expect(!liveness.isPingDue(at: time(1009)) && liveness.isPingDue(at: time(1010)))
    }

    @Test func silenceAfterAPingMakesSuspectAndThenDead() {
        var liveness = fresh()
        #expect(!liveness.isSuspect(at: time(100_000)) && !liveness.isDead(at: time(100_000)), "nothing was asked")
        liveness.didPing(at: time(500))
        #expect(liveness.nextChange(after: time(500)) == time(750))
        #expect(!liveness.isSuspect(at: time(749)) && liveness.isSuspect(at: time(750)))
        #expect(liveness.nextChange(after: time(750)) == time(3500))
        #expect(!liveness.isDead(at: time(3499)) && liveness.isDead(at: time(3500)))
        liveness.heard()
        #expect(!liveness.isSuspect(at: time(4000)) && !liveness.isDead(at: time(4000)))
    }

    /// A server that falls silent at any time is suspect within a heartbeat.
    @Test(arguments: Seeds.fresh(4)) func suspicionTakesLessThanAHeartbeat(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            var liveness = fresh()
            let end = UInt64.random(in: 0..<20_000, using: &random)
            var now: UInt64 = 0
            var answerAt: UInt64?
            var suspectAt: UInt64?
            while suspectAt == nil, now < end + 2000 {
                if let due = answerAt, now >= due, due < end {
                    liveness.heard()
                    answerAt = nil
                }
                if liveness.isPingDue(at: time(now)) {
                    liveness.didPing(at: time(now))
                    answerAt = now + UInt64.random(in: 1..<200, using: &random)
                }
                if liveness.isSuspect(at: time(now)) { suspectAt = now }
                now += 1
            }
            #expect(suspectAt.map { $0 > end && $0 <= end + 1000 } ?? false, "silent at \(end), suspect at \(suspectAt ?? 0)")
        }
    }

    /// An endless heartbeat is no overflow.
    @Test func theLongestTimesAreTaken() {
        var liveness = Liveness(heartbeat: .max, silenceLimit: .max, now: time(0))
        #expect(!liveness.isPingDue(at: time(1 << 40)))
        liveness.didPing(at: time(1))
        #expect(!liveness.isSuspect(at: time(1 << 40)) && !liveness.isDead(at: time(1 << 40)))
    }
}
