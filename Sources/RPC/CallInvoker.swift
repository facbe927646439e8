public import Protobuf

/// What a caller says about one call.
public struct CallOptions: Sendable {
    /// How long the call may take in all; nil: the channel's default.
    public var timeout: Duration?
    /// Pairs that travel with the call.
    public var metadata: [(key: String, value: String)]
    /// W3C trace context of the caller ("00-<trace id>-<span id>-<flags>"), where it has one.
    public var traceparent: String?
    /// What few calls set. Behind one reference, because options are handed on at each step of a call.
    private var rare = Rare?.none

    private struct Settings: Sendable {
        var retry: RetryPolicy?
        var endpoint: String?
        var onTimings: (@Sendable (CallTimings) -> Void)?
    }

    private final class Rare: Sendable {
        let settings: Settings
        init(_ settings: Settings) { self.settings = settings }
    }

    private var settings: Settings {
        get { rare?.settings ?? Settings() }
        set { rare = Rare(newValue) }
    }

    /// When the call is tried again; nil: what the channel says for its method.
    public var retry: RetryPolicy? {
        get { rare?.settings.retry }
        set { settings.retry = newValue }
    }

    /// The only server of the channel that will do, as one that holds what the call refers to; nil: any.
    public var endpoint: String? {
        get { rare?.settings.endpoint }
        set { settings.endpoint = newValue }
    }

    /// Asks the server where the call's time went; called once, before the call returns or throws.
    public var onTimings: (@Sendable (CallTimings) -> Void)? {
        get { rare?.settings.onTimings }
        set { settings.onTimings = newValue }
    }

    public init(
        timeout: Duration? = nil, metadata: [(key: String, value: String)] = [], traceparent: String? = nil,
        retry: RetryPolicy? = nil, endpoint: String? = nil, onTimings: (@Sendable (CallTimings) -> Void)? = nil
    ) {
        self.timeout = timeout
        self.metadata = metadata
        self.traceparent = traceparent
        if retry != nil || endpoint != nil || onTimings != nil {
            settings = Settings(retry: retry, endpoint: endpoint, onTimings: onTimings)
        }
    }
}

/// Carries out calls: what a generated client stub stands on.
public protocol CallInvoker: Sendable {
    /// Sends `request` and waits for the response. Cancelling the task cancels the call.
    func call<Request: Message, Response: Message>(
        _ method: MethodDescriptor<Request, Response>, _ request: Request, options: CallOptions
    ) async throws(RPCError) -> Response
}
