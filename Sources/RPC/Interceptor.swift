/// What is done with every call, whatever its method: to log, to count, to add metadata, to refuse.
///
/// Channels and servers take a list of them. On both sides the first of the list begins first and ends last. A client's
/// interceptors see a call once, however often it is tried, in the calling task; a server's see it in the worker thread,
/// right before its handler, and at the end in the thread that answered it. Both methods have to be quick: they delay
/// the call, on a server others as well.
public protocol Interceptor: Sendable {
    /// The call begins. May change what travels with it. An error ends it, NOT_EXECUTED unless it says otherwise;
    /// interceptors that had begun are told of the end.
    func callWillStart(_ call: inout InterceptedCall) throws(RPCError)

    /// The call has ended.
    func callDidEnd(_ call: InterceptedCall, _ outcome: CallOutcome)
}

extension Interceptor {
    public func callWillStart(_ call: inout InterceptedCall) throws(RPCError) {}
    public func callDidEnd(_ call: InterceptedCall, _ outcome: CallOutcome) {}
}

/// A call as interceptors see it.
public struct InterceptedCall: Sendable {
    /// Full name of the method, as in "orderwire.catalog.v1.CatalogService/ListProducts".
    public let method: String
    /// On a server, who is calling; on a client nil.
    public let identity: Identity?
    /// When the call's time is over.
    public let deadline: Deadline
    /// Pairs that travel with the call.
    public var metadata: [(key: String, value: String)]
    /// W3C trace context.
    public var traceparent: String?

    package init(
        method: String, identity: Identity?, deadline: Deadline, metadata: [(key: String, value: String)], traceparent: String?
    ) {
        self.method = method
        self.identity = identity
        self.deadline = deadline
        self.metadata = metadata
        self.traceparent = traceparent
    }
}

/// How a call ended.
public struct CallOutcome: Sendable {
    /// Why it failed; nil where it did not.
    public let error: RPCError?
    /// From the first interceptor's begin to the end.
    public let duration: Duration

    package init(error: RPCError?, duration: Duration) {
        self.error = error
        self.duration = duration
    }

    /// The status code.
    public var code: StatusCode { error?.code ?? .ok }
}
