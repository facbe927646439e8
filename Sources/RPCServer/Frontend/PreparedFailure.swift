import RPC
import ZeroMQ

/// A failure that is the same for many calls, encoded once: under overload most answers are of this kind, and each
/// encoding would cost several times what it takes to read the request.
struct PreparedFailure: Sendable {
    let error: RPCError
    private let bytes: [UInt8]

    init(_ error: RPCError) {
        self.error = error
        bytes = error.statusPayload()
    }

    var payload: Frame { Frame(copying: bytes) }

    // MARK: Time

    /// What is said when a call's time is over, by where that was found.
    static let expired = (
        onArrival: PreparedFailure(.deadlineExceeded(at: ExpiryPlace.arrival.rawValue, disposition: .notExecuted)),
        inQueue: PreparedFailure(.deadlineExceeded(at: ExpiryPlace.queue.rawValue, disposition: .notExecuted)),
        inHandler: PreparedFailure(.deadlineExceeded(at: ExpiryPlace.handler.rawValue, disposition: .maybe))
    )

    // MARK: Overload

    /// The call would wait longer than it may; worth another try after about so many microseconds.
    static func wouldWait(retryAfterMicroseconds delay: UInt64) -> PreparedFailure {
        wouldWait.first { $0.delay >= delay }?.failure ?? longestWait.failure
    }

    /// The time to wait is rounded up to one of these, in milliseconds: the estimate knows no better.
    private static let wouldWait = [10, 20, 50, 100, 200, 500, 1000].map(wouldWait(retryAfterMilliseconds:))
    private static let longestWait = wouldWait(retryAfterMilliseconds: 2000)

    private static func wouldWait(retryAfterMilliseconds delay: UInt64) -> (delay: UInt64, failure: PreparedFailure) {
        let error = RPCError.overloaded(
            .queueFull, "the call would wait too long for the time that it has", retryAfter: .milliseconds(Int64(delay)))
        return (delay * 1000, PreparedFailure(error))
    }
}

extension RPCError {
    /// There is more than the server takes, or may take from one client.
    static func overloaded(
        _ reason: RefusalReason, _ text: String, retryAfter delay: Duration = .milliseconds(100)
    ) -> RPCError {
        RPCError(
            .resourceExhausted, reason: reason.rawValue, text + "; try again later", disposition: .notExecuted, retryDelay: delay)
    }
}
