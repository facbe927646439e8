import RPC

/// Whether a server with a session still lives: when to send PING, when silence makes it suspect, and when it is dead.
///
/// A server is asked twice a heartbeat, and is suspect when it owes an answer for a quarter of one: so it is left within a
/// heartbeat of its last sign of life. Any message is such a sign. Suspicion costs nothing but the choice of another
/// server; what is in flight waits for the silence limit.
///
/// Pure: no clock, no I/O.
struct Liveness {
    private let heartbeat: UInt64
    private let silenceLimit: UInt64
    private var lastPing: MonotonicTime
    /// When the PING was sent that nothing has followed yet.
    private var unanswered: MonotonicTime?

    /// A session begins. Times in microseconds.
    init(heartbeat: UInt64, silenceLimit: UInt64, now: MonotonicTime) {
        self.heartbeat = heartbeat
        self.silenceLimit = silenceLimit
        lastPing = now
    }

    /// The server has sent something.
    mutating func heard() { unanswered = nil }

    /// PING was sent, or could not be sent because the server reads nothing, which is as silent as no answer.
    mutating func didPing(at now: MonotonicTime) {
        lastPing = now
        unanswered = now
    }

    func isPingDue(at now: MonotonicTime) -> Bool { unanswered == nil && now >= nextPing }

    func isSuspect(at now: MonotonicTime) -> Bool { unanswered.map { now >= suspicion(since: $0) } ?? false }

    func isDead(at now: MonotonicTime) -> Bool { unanswered.map { now >= $0.advanced(byMicroseconds: silenceLimit) } ?? false }

    /// When one of these changes unless something is heard.
    func nextChange(after now: MonotonicTime) -> MonotonicTime {
        guard let unanswered else { return nextPing }
        let dead = unanswered.advanced(byMicroseconds: silenceLimit)
        return isSuspect(at: now) ? dead : min(suspicion(since: unanswered), dead)
    }

    private var nextPing: MonotonicTime { lastPing.advanced(byMicroseconds: heartbeat / 2) }

    private func suspicion(since ping: MonotonicTime) -> MonotonicTime { ping.advanced(byMicroseconds: heartbeat / 4) }
}
