import RPC
import Synchronization

/// What a server's interceptors see of one call: its beginning, in the worker, and its end, wherever that is. There is none
/// where a server has no interceptors.
///
/// The frontend may end a call (its time is over, its caller gave it up or is gone) in the very moment in which a worker begins
/// with it; so that each interceptor hears of the end once, and only after the beginning, one state decides who tells it.
final class Interception: Sendable {
    private struct Begun {
        let call: InterceptedCall
        let start: MonotonicTime
        /// Interceptors that were told of the beginning.
        let count: Int
    }

    private enum State {
        /// No worker has begun with the call.
        case waiting
        /// Interceptors are being told of the beginning.
        case beginning
        /// Meanwhile the call has ended like this: who tells of the beginning tells of the end as well.
        case endedAtBeginning(RPCError?)
        /// They were told, and wait for the end.
        case begun(Begun)
        /// Nothing more will be told.
        case over
    }

    private let interceptors: [any Interceptor]
    private let method: String
    private let state = Mutex(State.waiting)

    init(_ interceptors: [any Interceptor], method: String) {
        self.interceptors = interceptors
        self.method = method
    }

    /// Tells of the beginning, and returns what is to be handled, or why not. The worker's, once.
    func begin(_ call: Call) -> Result<InterceptedCall, RPCError> {
        var seen = InterceptedCall(
            method: method, identity: call.identity, deadline: call.deadline, metadata: call.metadata, traceparent: call.traceparent)
        let mayBegin = state.withLock { state in
            guard case .waiting = state else { return false }
            state = .beginning
            return true
        }
        guard mayBegin else { return .success(seen) }
        let start = MonotonicTime.now
        var refusal: RPCError?
        var count = 0
        for interceptor in interceptors {
            do throws(RPCError) {
                try interceptor.callWillStart(&seen)
                count += 1
            } catch {
                refusal = Self.notExecuted(error)
                break
            }
        }
        let begun = Begun(call: seen, start: start, count: count)
        let missedEnd: RPCError?? = state.withLock { state in
            guard case .endedAtBeginning(let error) = state else {
                state = .begun(begun)
                return nil
            }
            state = .over
            return .some(error)
        }
        if let missedEnd { tell(begun, missedEnd) }
        return refusal.map { .failure($0) } ?? .success(seen)
    }

    /// The call has ended. Any thread, any number of times: the first counts.
    func end(_ error: RPCError?) {
        let begun: Begun? = state.withLock { state in
            switch state {
            case .waiting:
                state = .over
            case .beginning:
                state = .endedAtBeginning(error)
            case .begun(let begun):
                state = .over
                return begun
            case .endedAtBeginning, .over:
                break
            }
            return nil
        }
        if let begun { tell(begun, error) }
    }

    /// The first of the list ends last.
    private func tell(_ begun: Begun, _ error: RPCError?) {
        let microseconds = MonotonicTime.now.microseconds(since: begun.start)
        let outcome = CallOutcome(error: error, duration: .microseconds(Int64(clamping: microseconds)))
        for interceptor in interceptors.prefix(begun.count).reversed() { interceptor.callDidEnd(begun.call, outcome) }
    }

    /// No handler has seen the call. An interceptor that did something itself may say MAYBE.
    private static func notExecuted(_ error: RPCError) -> RPCError {
        var error = error
        if error.disposition == .executed { error.disposition = .notExecuted }
        return error
    }
}
