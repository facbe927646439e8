import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("Lease state")
struct LeaseStateTests {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)

    @Test("a new settler looks at once, and after a look in vain waits for its poll")
    func standby() {
        var lease = LeaseState()
        #expect(lease.action(at: start) == .look)
        lease.stayStandby(at: start)
        let due = start.advanced(by: Limits.settlerPoll)
        #expect(lease.action(at: start) == .wait(until: due))
        #expect(lease.nextDue == due)
        #expect(lease.action(at: due) == .look)
    }

    @Test("the holder settles, and renews in time")
    func holding() {
        var lease = LeaseState()
        lease.taken(epoch: 7, askedAt: start)
        #expect(lease.action(at: start) == .settle(epoch: 7))
        let due = start.advanced(by: Limits.leaseRenewal)
        #expect(lease.action(at: due) == .renew(epoch: 7))
        lease.renewed(askedAt: due)
        #expect(lease.action(at: due) == .settle(epoch: 7))
    }

    @Test("a process that was stopped for longer than its lease renews before it settles")
    func stopped() {
        var lease = LeaseState()
        lease.taken(epoch: 7, askedAt: start)
        #expect(lease.action(at: start.advanced(by: .seconds(60))) == .renew(epoch: 7))
    }

    @Test("one that lost its lease stands by, and late news of a renewal do not bring it back")
    func lost() {
        var lease = LeaseState()
        lease.taken(epoch: 7, askedAt: start)
        lease.lost(at: start)
        lease.renewed(askedAt: start)
        #expect(lease.action(at: start) == .wait(until: start.advanced(by: Limits.settlerPoll)))
    }

    @Test("a renewal fits several times into the lease")
    func margins() {
        #expect(Limits.leaseRenewal * 3 <= Limits.leaseDuration)
    }
}

@Suite("Backoff")
struct BackoffTests {
    @Test("grows from 5 ms by half, with jitter, to 500 ms, and starts anew after a success", arguments: Seeds.fresh(20))
    func grows(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var backoff = Backoff()
        var ceiling = 5.0
        for _ in 0..<40 {
            let wait = backoff.next(using: &random) / .milliseconds(1)
            #expect(wait <= min(ceiling, 500) * 1.001)
            #expect(wait >= min(ceiling, 500) * 0.499)
            ceiling *= 1.5
        }
        #expect(backoff.failures == 40)
        backoff.reset()
        #expect(backoff.next(using: &random) <= .milliseconds(5))
    }
}
