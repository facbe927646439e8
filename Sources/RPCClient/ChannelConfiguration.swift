public import RPC

/// How a channel behaves.
public struct ChannelConfiguration: Sendable {
    /// Time of a call that names none.
    public var defaultTimeout = Duration.seconds(5)
    /// How long a call waits for a session with any server before it fails with SERVER_UNREACHABLE, its own time permitting.
    public var connectTimeout = Duration.seconds(2)
    /// A server that sent nothing for so long, while something was due from it, is taken for dead and connected to anew.
    public var silenceLimit = Duration.seconds(15)
    /// Calls that may wait for a connection or for a place among those in flight.
    public var maxWaitingCalls = 65_536
    /// When calls are tried again.
    public var retry = RetryPolicy()
    /// The same for single methods, by full name as in "orderwire.orders.v1.OrderService/SubmitOrder".
    public var retryByMethod: [String: RetryPolicy] = [:]
    /// What is done with every call. The first begins first and ends last.
    public var interceptors: [any Interceptor] = []
    /// Name of the program, for the server's log.
    public var userAgent = "orderwire-swift/0.1.0"

    public init() {}
}
