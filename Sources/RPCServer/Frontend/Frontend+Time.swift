import RPC
import ZeroMQ

/// What happens by time: deadlines, silence, calls that are of no use any more.
extension Frontend {
    /// What happens by time, not by message.
    mutating func tick(_ socket: borrowing Socket) throws(ZeroMQError) {
        nudgeWorkers()
        if let scan = inFlight.nextScan, now >= scan { try expire(socket) }
        checkSilence()
        clearQueues()
        if case .draining(let since) = state, isDrained(since: since) { try endDraining(socket) }
    }

    private mutating func expire(_ socket: borrowing Socket) throws(ZeroMQError) {
        for call in inFlight.takeExpired(at: now) {
            let isWaiting = call.giveUp()
            let failure = isWaiting ? PreparedFailure.expired.inQueue : PreparedFailure.expired.inHandler
            counters.expired.add(isWaiting ? .queue : .handler)
            abandon(call, failure.error, whileWaiting: isWaiting)
            try respond(to: call, failure, on: socket)
        }
    }

    /// Nobody waits for the call's answer any more.
    ///
    /// - Parameter whileWaiting: whether it was given up before a worker began with it.
    mutating func abandon(_ call: Call, _ error: RPCError, whileWaiting: Bool) {
        call.abandon(error)
        guard whileWaiting else { return }
        abandonedWaiting.calls += 1
        abandonedWaiting.bytes += call.payload.count
    }

    /// Takes abandoned calls out of the queues once they are many: half of all that wait, so that the look pays, or large.
    /// Else handlers that are held up would let calls pile up that nobody waits for, unbounded by what is in flight.
    private mutating func clearQueues() {
        let (calls, bytes) = abandonedWaiting
        guard calls >= Self.clearingCalls && calls * 2 >= dispatcher.queuedCount || bytes >= Self.clearingBytes else { return }
        dispatcher.removeAbandoned()
        abandonedWaiting = (0, 0)
    }

    private static let clearingCalls = 256
    private static let clearingBytes = 16 << 20

    /// When the oldest waiting call arrived. The look goes through all calls in flight, and a PING costs its sender nothing:
    /// so it is taken at most every `oldestInterval` microseconds.
    mutating func oldestArrival(at now: MonotonicTime) -> MonotonicTime? {
        if let knownOldest, now.microseconds(since: knownOldest.at) < Self.oldestInterval { return knownOldest.arrival }
        let arrival = inFlight.oldestArrival
        knownOldest = (arrival, now)
        return arrival
    }

    private static let oldestInterval: UInt64 = 100_000

    /// Ends sessions that were not heard of for three heartbeats. A server that stood still has not listened either: what its
    /// clients sent may not even have been read, so they get the time once more.
    private mutating func checkSilence() {
        let interval = configuration.heartbeatInterval.wholeMicroseconds
        let elapsed = now.microseconds(since: lastSilenceCheck)
        guard elapsed >= interval else { return }
        lastSilenceCheck = now
        guard elapsed < interval * 2 else {
            for session in sessions.all { session.lastHeard = now }
            return
        }
        for session in sessions.silent(for: interval * 3, at: now) where session.calls.isEmpty { close(session.peer) }
    }

    /// Ends a session; what it had queued is dropped, and what runs is told.
    mutating func close(_ peer: PeerID) {
        guard let session = sessions.close(peer) else { return }
        for call in session.calls.values where inFlight.remove(call) {
            abandon(call, Self.callerGone, whileWaiting: call.giveUp())
            counters.dropped.add(.peerGone)
        }
        counters.inFlight.set(inFlight.count)
        counters.sessions.set(sessions.count)
    }

    /// For interceptors; nobody else is told.
    private static let callerGone = RPCError(.cancelled, reason: "CANCELLED", "the caller is gone", disposition: .maybe)

    /// Wakes another worker where calls have waited for a while, though it looked as if the busy ones would soon take them.
    private mutating func nudgeWorkers() {
        if dispatcher.queuedCount == 0 {
            backlogSince = now
        } else if now.microseconds(since: backlogSince) >= Self.nudgeMicroseconds {
            dispatcher.nudge()
            backlogSince = now
        }
    }

    private static let nudgeMicroseconds: UInt64 = 1_000
}
