import RPC

/// When a settler looks at the lease, renews it, or may work: on its own monotonic clock, and without I/O.
///
/// Safety does not rest on it: every transaction is fenced by the epoch in the lease document. This only keeps a settler
/// from working for nothing, and from letting its lease run out.
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

    private(set) var phase: Phase = .standby(lookAt: MonotonicTime(nanoseconds: 0))

    func action(at now: MonotonicTime) -> Action {
        switch phase {
        case .standby(let lookAt): now >= lookAt ? .look : .wait(until: lookAt)
        case .holding(let epoch, let renewedAt):
            // Past its time the lease may be anybody's: renewing tells.
            now >= renewedAt.advanced(by: Limits.leaseRenewal) ? .renew(epoch: epoch) : .settle(epoch: epoch)
        }
    }

    /// When the holder has to renew, or the standby to look.
    var nextDue: MonotonicTime {
        switch phase {
        case .standby(let lookAt): lookAt
        case .holding(_, let renewedAt): renewedAt.advanced(by: Limits.leaseRenewal)
        }
    }

    /// The lease was seen to be someone else's, or could not be seen at all.
    mutating func stayStandby(at now: MonotonicTime) {
        phase = .standby(lookAt: now.advanced(by: Limits.settlerPoll))
    }

    /// The lease was taken. `asked` is the time before the database was asked, so that the lease ends there no sooner than here.
    mutating func taken(epoch: Int64, askedAt asked: MonotonicTime) {
        phase = .holding(epoch: epoch, renewedAt: asked)
    }

    /// The lease was renewed, by itself or inside a transaction.
    mutating func renewed(askedAt asked: MonotonicTime) {
        guard case .holding(let epoch, _) = phase else { return }
        phase = .holding(epoch: epoch, renewedAt: asked)
    }

    /// Something failed, or the session is a new one: a holder renews before it settles again.
    mutating func doubt() {
        guard case .holding(let epoch, _) = phase else { return }
        phase = .holding(epoch: epoch, renewedAt: MonotonicTime(nanoseconds: 0))
    }

    /// The epoch has moved on: someone else took the lease.
    mutating func lost(at now: MonotonicTime) { stayStandby(at: now) }
}
