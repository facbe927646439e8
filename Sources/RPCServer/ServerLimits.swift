/// Everything that a server bounds, each with its reason. docs/wire-protocol.md, "Limits", tells clients.
public struct ServerLimits: Sendable {
    // MARK: One message

    /// Largest request payload in bytes: a batch of 1,000 imported products with long descriptions fits. Methods may have
    /// smaller limits of their own.
    public var maxRequestBytes = 8 << 20
    /// Largest response payload in bytes.
    public var maxResponseBytes = 8 << 20
    /// Metadata pairs of a request: each becomes two strings before anything is known of the call.
    public var maxMetadataPairs = 32
    /// Bytes of keys and values of a request's metadata: leaves room for trace context in the 4,096 bytes of all TLVs.
    public var maxMetadataBytes = 3072

    // MARK: One client

    /// Calls in flight in one session. The socket's send high-water mark follows from it and `controlFrameReserve`, so that
    /// an honest client never loses a reply to a full pipe.
    public var maxInFlightPerSession = 4096
    /// Control frames (PONG, DRAIN, BYE, PROTOCOL_ERROR) that fit beside the replies.
    public var controlFrameReserve = 64
    /// Calls in flight in all sessions of one client: half of what one method's queue holds, so that no client fills it alone.
    public var maxInFlightPerClient = 8192
    /// Sessions of one client: the connections of a large program's processes, and no more than a tenth of all.
    public var maxSessionsPerClient = 1000

    // MARK: The server

    /// Sessions that are open at once.
    public var maxSessions = 10_000
    /// Calls in flight in all sessions.
    public var maxInFlight = 65_536
    /// Bytes of payloads of all calls in flight.
    public var maxInFlightBytes = 256 << 20
    /// Calls in flight beyond `maxInFlight` that only methods of high priority may use.
    public var reservedInFlight = 1024
    /// Bytes beyond `maxInFlightBytes` that only methods of high priority may use.
    public var reservedInFlightBytes = 16 << 20
    /// Calls of one method that wait for a worker.
    public var maxQueuedPerMethod = 16_384
    /// Bytes of payloads of the calls of one method that wait for a worker, unless a single one is larger: a quarter of all.
    public var maxQueuedBytesPerMethod = 64 << 20

    // MARK: Time

    /// Time of a call that names none.
    public var defaultBudget = Duration.seconds(5)
    /// Longest time of a call; a longer budget is cut to it.
    public var maxBudget = Duration.seconds(600)

    public init() {}

    /// What the socket's send high-water mark has to be at least, so that no answer to a client that keeps its limits is ever
    /// dropped while the connection lives. Twice what can be under way: the reading end of a pipe says what it took only every
    /// half high-water mark, so that up to half of the places seem taken long after they are free.
    var neededSendHighWaterMark: Int { 2 * (maxInFlightPerSession + controlFrameReserve) }
}
