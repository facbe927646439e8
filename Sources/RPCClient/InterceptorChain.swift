import RPC

/// The interceptors of one call: those that have begun are told of its end, in reverse order.
final class InterceptorChain {
    private let interceptors: [any Interceptor]
    private let began: MonotonicTime
    /// The call as they have changed it.
    private(set) var call: InterceptedCall
    private var begunCount = 0

    init(_ interceptors: [any Interceptor], method: String, _ options: CallOptions, deadline: Deadline, now: MonotonicTime) {
        self.interceptors = interceptors
        began = now
        call = InterceptedCall(
            method: method, identity: nil, deadline: deadline, metadata: options.metadata, traceparent: options.traceparent)
    }

    func begin() throws(RPCError) {
        for interceptor in interceptors {
            do throws(RPCError) {
                try interceptor.callWillStart(&call)
            } catch {
                var error = error
                // Nothing has been sent: `executed` is what an error says that says nothing else.
                if error.disposition == .executed { error.disposition = .notExecuted }
                throw error
            }
            begunCount += 1
        }
    }

    func end(_ error: RPCError?) {
        let outcome = CallOutcome(error: error, duration: .microseconds(Int64(clamping: MonotonicTime.now.microseconds(since: began))))
        for interceptor in interceptors.prefix(begunCount).reversed() { interceptor.callDidEnd(call, outcome) }
    }
}
