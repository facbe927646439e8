import RPC

/// The interceptors of one call: those that have begun are told of its end, in reverse order.
struct InterceptorChain {
    private let interceptors: [any Interceptor]
    private let began: MonotonicTime
    private var begunCount = 0

    init(_ interceptors: [any Interceptor], began: MonotonicTime) {
        self.interceptors = interceptors
        self.began = began
    }

    mutating func begin(_ call: inout InterceptedCall) throws(RPCError) {
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

    func end(_ call: InterceptedCall, _ error: RPCError?) {
        let outcome = CallOutcome(error: error, duration: .microseconds(Int64(clamping: MonotonicTime.now.microseconds(since: began))))
        for interceptor in interceptors.prefix(begunCount).reversed() { interceptor.callDidEnd(call, outcome) }
    }
}
