import MongoDB
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("Lease state")
struct LeaseStateTests {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)

    @Test("a new settler looks at once, and after a look in vain waits for its poll")
    func standby() {
        var lease = LeaseState(name: "one")
        #expect(lease.action(at: start) == .look)
        lease.stayStandby(at: start)
        let due = start.advanced(by: Limits.standbyPoll)
        #expect(lease.action(at: start) == .wait(until: due))
        #expect(lease.nextDue == due)
        #expect(lease.action(at: due) == .look)
    }

    @Test("the holder settles, and renews in time")
    func holding() {
        var lease = LeaseState(name: "one")
        lease.taken(epoch: 7, askedAt: start)
        #expect(lease.action(at: start) == .settle(epoch: 7))
        let due = start.advanced(by: Limits.leaseRenewal)
        #expect(lease.action(at: due) == .renew(epoch: 7))
        lease.renewed(askedAt: due)
        #expect(lease.action(at: due) == .settle(epoch: 7))
    }

    @Test("a process that was stopped for longer than its lease renews before it settles")
    func stopped() {
        var lease = LeaseState(name: "one")
        lease.taken(epoch: 7, askedAt: start)
        #expect(lease.action(at: start.advanced(by: .seconds(60))) == .renew(epoch: 7))
    }

    @Test("one that lost its lease stands by, and late news of a renewal do not bring it back")
    func lost() {
        var lease = LeaseState(name: "one")
        lease.taken(epoch: 7, askedAt: start)
        lease.lost(at: start)
        lease.renewed(askedAt: start)
        #expect(lease.action(at: start) == .wait(until: start.advanced(by: Limits.standbyPoll)))
    }

    private func seen(
        _ epoch: Int64, by holder: String, expires: Int64 = 5, lasts: Duration = Limits.leaseDuration, isExpired: Bool = false
    ) -> LeaseObservation {
        LeaseObservation(
            epoch: epoch, holder: holder, expires: BSONDate(millisecondsSince1970: expires), lasts: lasts, isExpired: isExpired,
            sessions: [])
    }

    private func expect(
        _ lease: inout LeaseState, takes seen: LeaseObservation, at time: MonotonicTime, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let mayTake = lease.mayTake(seen, at: time)
        #expect(mayTake, sourceLocation: sourceLocation)
    }

    private func expect(
        _ lease: inout LeaseState, leaves seen: LeaseObservation, at time: MonotonicTime, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let mayTake = lease.mayTake(seen, at: time)
        #expect(!mayTake, sourceLocation: sourceLocation)
    }

    @Test("a lease that has run out may be taken, and another's that has not may not")
    func expiry() {
        var lease = LeaseState(name: "one")
        expect(&lease, leaves: seen(1, by: "other"), at: start)
        expect(&lease, takes: seen(1, by: "other", isExpired: true), at: start)
    }

    @Test("a lease in its own name is its predecessor's, until it has held one or stood by")
    func predecessor() {
        var lease = LeaseState(name: "one")
        expect(&lease, takes: seen(1, by: "one"), at: start)
        lease.stayStandby(at: start)
        expect(&lease, leaves: seen(1, by: "one"), at: start)
        lease = LeaseState(name: "one")
        lease.taken(epoch: 1, askedAt: start)
        lease.lost(at: start)
        // Two servers of one name by mistake take turns at their starts only.
        expect(&lease, leaves: seen(2, by: "one"), at: start)
    }

    @Test("a lease that nobody renews is nobody's, even where the database's clock was put back and it never runs out")
    func silence() {
        var lease = LeaseState(name: "one")
        let end = start.advanced(by: Limits.leaseSilence)
        expect(&lease, leaves: seen(1, by: "other"), at: start)
        expect(&lease, takes: seen(1, by: "other"), at: end)
        expect(&lease, leaves: seen(1, by: "other", expires: 6), at: end)
        expect(&lease, leaves: seen(2, by: "other", expires: 6), at: end.advanced(by: Limits.leaseSilence))
    }

    @Test("a lease that was taken for long is nobody's after a longer silence only")
    func longSilence() {
        var lease = LeaseState(name: "one")
        let long = seen(1, by: "other", lasts: .seconds(8))
        expect(&lease, leaves: long, at: start)
        expect(&lease, leaves: long, at: start.advanced(by: .seconds(15)))
        expect(&lease, takes: long, at: start.advanced(by: .seconds(16)))
    }

    @Test("a lease lasts twice as long as a settlement takes, and each loss doubles it, until there is nothing to settle")
    func durations() {
        var lease = LeaseState(name: "one")
        var durations: [Duration] = []
        for _ in 0..<6 {
            durations.append(lease.duration)
            lease.taken(epoch: 7, askedAt: start)
            lease.lost(at: start)
        }
        #expect(durations == [1500, 3000, 6000, 12_000, 12_000, 12_000].map { .milliseconds($0) })
        for (time, duration) in [(100, 1500), (750, 1500), (2000, 4000), (9000, 12_000)] as [(Int, Int)] {
            lease.settled(in: .milliseconds(time))
            #expect(lease.duration == .milliseconds(duration))
        }
        lease.rested()
        #expect(lease.duration == Limits.leaseDuration)
        #expect(Limits.maxTransactionTime < Limits.maxLeaseDuration)
    }

    @Test("a renewal fits several times into the lease")
    func margins() {
        #expect(Limits.leaseRenewal * 3 <= Limits.leaseDuration)
        #expect(Limits.leaseDuration + Limits.standbyPoll < .seconds(2), "a takeover is in time")
        #expect(Limits.leaseSilence >= Limits.leaseDuration * 2, "who renews in time is not silent")
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
