/// When a channel tries a failed call again by itself, and how long it waits before.
///
/// A call is tried again where its code is one of `retryableCodes` and nothing speaks against it: it did not run
/// (NOT_EXECUTED), or its method may run twice (`Idempotency`); the wait fits into its time; and the server's retry budget is
/// not used up. The server's own word on the shortest wait (RetryInfo) is kept. RESOURCE_EXHAUSTED is tried again only where the server
/// gave such a word: without one, waiting does not help.
///
/// What no server took (it has ended the session, or is about to end) goes elsewhere without any of this.
public struct RetryPolicy: Sendable, Hashable {
    /// Most tries in all, the first included.
    public var maxAttempts = 5
    /// Wait before the second try.
    public var initialBackoff = Duration.milliseconds(20)
    /// Longest wait; only a server's own word makes a longer one.
    public var maxBackoff = Duration.seconds(1)
    /// What each wait is longer by than the one before.
    public var multiplier = 2.0
    /// The part of a wait that is random, from 0 to 1, so that calls that failed together do not come back together.
    public var jitter = 0.2
    /// Failures that another try may cure.
    public var retryableCodes: Set<StatusCode> = [.unavailable, .resourceExhausted]

    public init() {}

    /// Each call is tried once.
    public static let never: RetryPolicy = {
        var policy = RetryPolicy()
        policy.maxAttempts = 1
        return policy
    }()
}
