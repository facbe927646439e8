public import Protobuf

/// What a caller says about one call.
public struct CallOptions: Sendable {
    /// How long the call may take in all; nil: the channel's default.
    public var timeout: Duration?
    /// Pairs that travel with the call.
    public var metadata: [(key: String, value: String)]
    /// W3C trace context of the caller ("00-<trace id>-<span id>-<flags>"), where it has one.
    public var traceparent: String?
    /// When the call is tried again; nil: what the channel says for its method.
    public var retry: RetryPolicy?
    /// The only server of the channel that will do, as one that holds what the call refers to; nil: any.
    public var endpoint: String?
    /// Asks the server where the call's time went; called once, before the call returns or throws.
    public var onTimings: (@Sendable (CallTimings) -> Void)?

    public init(
        timeout: Duration? = nil, metadata: [(key: String, value: String)] = [], traceparent: String? = nil,
        retry: RetryPolicy? = nil, endpoint: String? = nil, onTimings: (@Sendable (CallTimings) -> Void)? = nil
    ) {
        self.timeout = timeout
        self.metadata = metadata
        self.traceparent = traceparent
        self.retry = retry
        self.endpoint = endpoint
        self.onTimings = onTimings
    }
}

/// Carries out calls: what a generated client stub stands on.
public protocol CallInvoker: Sendable {
    /// Sends `request` and waits for the response. Cancelling the task cancels the call.
    func call<Request: Message, Response: Message>(
        _ method: MethodDescriptor<Request, Response>, _ request: Request, options: CallOptions
    ) async throws(RPCError) -> Response
}
