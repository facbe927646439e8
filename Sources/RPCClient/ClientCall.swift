import RPC
import Synchronization
import ZeroMQ

/// One call of a channel. Made by the calling task; afterwards it belongs to the connection thread, which ends it once.
final class ClientCall: @unchecked Sendable {
    /// What the caller's task is resumed with.
    typealias Outcome = Result<Frame, RPCError>

    let method: UInt32
    let deadline: Deadline
    /// Until when it has to be sent: its deadline, or the end of the wait for a connection.
    var sendBy: MonotonicTime
    /// The encoded request. Sending empties it; `payloadCopy` shares the content while it may have to be sent again.
    let payload: Frame
    let extensions: [UInt8]

    // The following belong to the connection thread.
    var id: UInt64 = 0
    private(set) var isDone = false
    /// The connection thread has been asked for it, and the caller's task waits.
    var hasStarted = false
    /// The task was cancelled.
    var isCancelled = false

    /// Set by the calling task before the connection thread sees the call.
    private var continuation: UnsafeContinuation<Outcome, Never>?

    init(method: UInt32, deadline: Deadline, sendBy: MonotonicTime, payload: Frame, extensions: [UInt8]) {
        self.method = method
        self.deadline = deadline
        self.sendBy = sendBy
        self.payload = payload
        self.extensions = extensions
    }

    /// Called once, before the call is posted to the connection thread.
    func willStart(_ continuation: UnsafeContinuation<Outcome, Never>) { self.continuation = continuation }

    /// Gives the caller the outcome; only the first one counts.
    func end(_ outcome: Outcome) {
        guard !isDone else { return }
        isDone = true
        continuation?.resume(returning: outcome)
        continuation = nil
    }
}
