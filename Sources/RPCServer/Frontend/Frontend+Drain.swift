import RPC
import ZeroMQ

/// The end: DRAIN, answers, BYE.
extension Frontend {
    mutating func beginToDrain(_ socket: borrowing Socket) throws(ZeroMQError) {
        state = .draining(since: now)
        for session in sessions.all { _ = try send(FrameHeader(type: .drain), Frame(), to: session.peer, on: socket) }
    }

    /// Whether nothing can come any more: no call is in flight, and each client has said BYE, which it does once it knows of
    /// DRAIN and has all its answers. A client that does not is waited for a moment only: what it sends meanwhile is refused,
    /// what it sends afterwards would be lost in the closed socket.
    func isDrained(since start: MonotonicTime) -> Bool {
        let waited = now.microseconds(since: start)
        if waited >= configuration.drainTimeout.wholeMicroseconds { return true }
        return inFlight.count == 0 && (sessions.count == 0 || waited >= Self.farewellMicroseconds)
    }

    /// How long a drained server waits for its clients' BYE.
    private static let farewellMicroseconds: UInt64 = 300_000
    static let drainCheckMilliseconds = 20

    mutating func endDraining(_ socket: borrowing Socket) throws(ZeroMQError) {
        for call in inFlight.takeAll() {
            let isWaiting = call.giveUp()
            let error = shuttingDown(isWaiting ? .notExecuted : .maybe)
            abandon(call, error, whileWaiting: isWaiting)
            try respond(to: call, error, on: socket)
        }
        for session in sessions.all { _ = try send(FrameHeader(type: .bye), Frame(), to: session.peer, on: socket) }
        state = .stopped
    }

    func shuttingDown(_ disposition: Disposition) -> RPCError {
        RPCError(
            .unavailable, reason: RefusalReason.shuttingDown.rawValue, "the server is shutting down; call another, or this one later",
            disposition: disposition, retryDelay: .milliseconds(500))
    }
}
