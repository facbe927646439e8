public import RPC

/// How a server listens and works.
public struct ServerConfiguration: Sendable {
    /// Endpoints to listen on, as in "tcp://127.0.0.1:7400". Ports from 32768 up are for the system's own connections:
    /// a client that connects to its own machine can meet itself there.
    public var listen: [String]
    /// Threads that carry out calls. One more, `reservedWorkers`, takes methods of high priority only.
    public var workers: Int
    /// Told of each call.
    public var interceptors: [any Interceptor] = []
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

    /// What the services tell about themselves in Stats, by name.
    public var gauges: @Sendable () -> [String: Int64] = { [:] }

    /// Threads beside the `workers` that take methods of high priority only: so that these are answered while all workers are held
    /// up. Handlers that need something for each thread, such as a database connection, need it for these, too.
    public static let reservedWorkers = 1

    public init(
        listen: [String], workers: Int = 4, limits: ServerLimits = ServerLimits(),
        heartbeatInterval: Duration = .seconds(10), drainTimeout: Duration = .seconds(7), version: String = "0.1.0",
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
