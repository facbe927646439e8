import MongoDB
import RPC

/// The lease document as a standby sees it.
struct LeaseObservation: Sendable, Equatable {
    var epoch: Int64
    /// The server that took it last.
    var holder: String
    /// As it is stored. Each renewal changes it, so an equal one later means that nobody renewed.
    var expires: BSONDate
    /// For how long it was taken or renewed.
    var lasts: Duration
    /// Whether that has passed, by the database's clock.
    var isExpired: Bool
    /// The sessions of the last holder's transactions. One that was killed has left them open, perhaps, and with them locks on this
    /// document and on orders.
    var sessions: [SessionID]
}

/// When a settler looks at the lease, takes it, renews it, or may work: on its own monotonic clock, and without I/O.
///
/// Safety does not rest on it: every transaction is fenced by the epoch in the lease document. This only keeps a settler
/// from working for nothing, from letting its lease run out, and from leaving one lie that nobody holds.
struct LeaseState: Sendable, Equatable {
    enum Phase: Sendable, Equatable {
        /// Another server settles, or nobody: look at the lease at this time.
        case standby(lookAt: MonotonicTime)
        /// This server settles, in `epoch`. Renewed at `renewedAt`, before the database was asked.
        case holding(epoch: Int64, renewedAt: MonotonicTime)
    }

    enum Action: Sendable, Equatable {
        /// See whether the lease can be taken.
        case look
        /// Renew the lease now.
        case renew(epoch: Int64)
        /// Settle what there is.
        case settle(epoch: Int64)
        /// Nothing before this time.
        case wait(until: MonotonicTime)
    }

    /// This server's name in the lease: the same after a restart.
    let name: String
    /// For how long this server takes and renews the lease: long enough for a settlement, which renews it only when it is committed.
    /// Otherwise servers whose settlements take longer would take the lease from each other in the midst of them, for ever.
    private(set) var duration = Limits.leaseDuration
    private(set) var phase: Phase = .standby(lookAt: MonotonicTime(nanoseconds: 0))
    /// Whether this process has neither held the lease nor seen another's yet. Until then a lease in its name is its
    /// predecessor's, which is no more.
    private var isNew = true
    private var lastChange: Change?

    /// The lease as it was first seen with this time to expire.
    private struct Change: Sendable, Equatable {
        var epoch: Int64
        var expires: BSONDate
        var seenAt: MonotonicTime
    }

    init(name: String) { self.name = name }

    func action(at now: MonotonicTime) -> Action {
        switch phase {
        case .standby(let lookAt): now >= lookAt ? .look : .wait(until: lookAt)
        case .holding(let epoch, let renewedAt):
            // Past its time the lease may be anybody's: renewing tells.
            now >= renewedAt.advanced(by: Limits.leaseRenewal) ? .renew(epoch: epoch) : .settle(epoch: epoch)
        }
    }

    /// Whether this server settles, as far as it knows.
    var isHeld: Bool {
        if case .holding = phase { true } else { false }
    }

    /// When the holder has to renew, or the standby to look.
    var nextDue: MonotonicTime {
        switch phase {
        case .standby(let lookAt): lookAt
        case .holding(_, let renewedAt): renewedAt.advanced(by: Limits.leaseRenewal)
        }
    }

    /// Whether the lease can be taken that was seen like this at `now`: it has run out, or is this server's own from before it
    /// was killed, or nobody has renewed it for so long that the database's clock must have been put back.
    mutating func mayTake(_ seen: LeaseObservation, at now: MonotonicTime) -> Bool {
        var change = Change(epoch: seen.epoch, expires: seen.expires, seenAt: now)
        if let lastChange, lastChange.epoch == seen.epoch, lastChange.expires == seen.expires { change = lastChange }
        lastChange = change
        return seen.isExpired || (isNew && seen.holder == name) || now >= change.seenAt.advanced(by: max(Limits.leaseSilence, seen.lasts * 2))
    }

    /// The lease was seen to be someone else's.
    mutating func stayStandby(at now: MonotonicTime) {
        isNew = false
        phase = .standby(lookAt: now.advanced(by: Limits.standbyPoll))
    }

    /// The lease was taken. `asked` is the time before the database was asked, so that the lease ends there no sooner than here.
    mutating func taken(epoch: Int64, askedAt asked: MonotonicTime) {
        isNew = false
        lastChange = nil
        phase = .holding(epoch: epoch, renewedAt: asked)
    }

    /// The lease was renewed, by itself or inside a transaction.
    mutating func renewed(askedAt asked: MonotonicTime) {
        guard case .holding(let epoch, _) = phase else { return }
        phase = .holding(epoch: epoch, renewedAt: asked)
    }

    /// A settlement took so long.
    mutating func settled(in time: Duration) {
        duration = min(max(time * 2, Limits.leaseDuration), Limits.maxLeaseDuration)
    }

    /// There is nothing to settle.
    mutating func rested() { duration = Limits.leaseDuration }

    /// Something failed, or the session is a new one: a holder renews before it settles again.
    mutating func doubt() {
        guard case .holding(let epoch, _) = phase else { return }
        phase = .holding(epoch: epoch, renewedAt: MonotonicTime(nanoseconds: 0))
    }

    /// The epoch has moved on: someone else took the lease, which did not last long enough.
    mutating func lost(at now: MonotonicTime) {
        duration = min(duration * 2, Limits.maxLeaseDuration)
        stayStandby(at: now)
    }
}
