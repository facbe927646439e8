/// How a server listens and works.
public struct ServerConfiguration: Sendable {
    /// Endpoints to listen on, as in "tcp://127.0.0.1:7400". Ports from 32768 up are for the system's own connections:
    /// a client that connects to its own machine can meet itself there.
    public var listen: [String]
    /// Threads that carry out calls.
    public var workers: Int
    /// What the server accepts.
    public var limits: ServerLimits
    /// Idle time after which clients send PING; a session that is silent three times as long is over.
    public var heartbeatInterval: Duration
    /// Longest time that `shutdown` waits for calls to end.
    public var drainTimeout: Duration
    /// Version of the program, for Stats.
    public var version: String
    /// Random number of this server's life, so that clients notice a restart. Events of the same server carry it, too.
    public var epoch: UInt32
    /// What the calling thread has waited for its database in all: asked before and after the handler of a call that wants
    /// to know where its time went.
    public var databaseTime: @Sendable () -> Duration = { .zero }

    public init(
        listen: [String], workers: Int = 4, limits: ServerLimits = ServerLimits(),
        heartbeatInterval: Duration = .seconds(10), drainTimeout: Duration = .seconds(8), version: String = "0.1.0",
        epoch: UInt32 = .random(in: 1 ... .max)
    ) {
        self.listen = listen
        self.workers = workers
        self.limits = limits
        self.heartbeatInterval = heartbeatInterval
        self.drainTimeout = drainTimeout
        self.version = version
        self.epoch = epoch
    }
}

/// Everything that a server bounds, each with its reason.
public struct ServerLimits: Sendable {
    /// Largest request payload in bytes: a batch of 1,000 imported products with long descriptions fits.
    public var maxRequestBytes = 8 << 20
    /// Largest response payload in bytes.
    public var maxResponseBytes = 8 << 20
    /// Calls in flight in one session. The socket's send high-water mark follows from it and `controlFrameReserve`, so that
    /// an honest client never loses a reply to a full pipe.
    public var maxInFlightPerSession = 4096
    /// Control frames (PONG, DRAIN, BYE, PROTOCOL_ERROR) that fit beside the replies.
    public var controlFrameReserve = 64
    /// Calls in flight in all sessions.
    public var maxInFlight = 65_536
    /// Calls of one method that wait for a worker.
    public var maxQueuedPerMethod = 16_384
    /// Bytes of payloads of all calls in flight.
    public var maxInFlightBytes = 256 << 20
    /// Sessions that are open at once.
    public var maxSessions = 10_000
    /// Time of a call that names none.
    public var defaultBudget = Duration.seconds(5)
    /// Longest time of a call; a longer budget is cut to it.
    public var maxBudget = Duration.seconds(600)

    public init() {}
}
