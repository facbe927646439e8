import RPC
import ZeroMQ

/// One try of a call at one server. Made by the calling task; from its posting on it belongs to that server's connection
/// thread, which ends it once. A call that is tried again, or goes to another server, gets a new one: so nothing of a call is ever
/// in two connections, and what comes late for an earlier try (an answer, a cancellation) finds that one ended.
final class CallAttempt: @unchecked Sendable {
    /// What the caller's task is resumed with.
    typealias Outcome = Result<Frame, AttemptFailure>

    let request: OutgoingRequest
    /// Until when it has to be sent: its deadline, or the end of the wait for a connection.
    let sendBy: MonotonicTime

    // The following belong to the connection thread, and to the calling task once that is resumed.

    /// 0: it was not sent.
    var id: UInt64 = 0
    private(set) var isDone = false
    /// The connection thread has been asked for it, and the caller's task waits.
    var hasStarted = false
    /// The task was cancelled.
    var isCancelled = false
    /// When it was sent, where it was.
    var sentAt = MonotonicTime(nanoseconds: 0)
    /// When its answer came, and what that says of the time in the server; for a call that wants to know.
    var answeredAt: MonotonicTime?
    var stageTimings: StageTimings?

    /// Set by the calling task before the connection thread sees the try.
    private var continuation: UnsafeContinuation<Outcome, Never>?

    init(_ request: OutgoingRequest, sendBy: MonotonicTime) {
        self.request = request
        self.sendBy = sendBy
    }

    var wasSent: Bool { id != 0 }

    /// Called once, before it is posted to the connection thread.
    func willStart(_ continuation: UnsafeContinuation<Outcome, Never>) { self.continuation = continuation }

    /// Gives the caller the outcome; only the first one counts.
    func end(_ outcome: Outcome) {
        guard !isDone else { return }
        isDone = true
        continuation?.resume(returning: outcome)
        continuation = nil
    }
}

/// What of a call goes on the wire: the same for each of its tries.
struct OutgoingRequest: Sendable {
    let method: UInt32
    let deadline: Deadline
    /// The encoded request. A connection sends a copy that shares its content.
    let payload: Frame
    let extensions: [UInt8]
    let wantsTimings: Bool
    /// Only one server will do: the call waits for that.
    let isPinned: Bool
}
