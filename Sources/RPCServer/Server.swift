public import Logging
package import ProtoRuntime
public import RPC
import Synchronization
import ZeroMQ

/// Serves methods over ZeroMQ.
///
/// One frontend thread owns the socket, `workers` threads carry out calls. `start` returns once the server listens;
/// `shutdown` refuses new calls, lets those in flight end, and returns when all threads have.
public final class Server: Sendable {
    private let configuration: ServerConfiguration
    private let methods: MethodTable
    private let dispatcher: Dispatcher
    private let counters: ServerCounters
    private let introspection: Introspection
    private let frontendInbox = Mailbox<FrontendInput>()
    private let logger: Logger
    private let state = Mutex(State.created)

    /// Random number of this server's life: new at every start, so that clients notice a restart.
    public let epoch: UInt32

    private enum State {
        /// Nothing runs yet.
        case created
        /// The threads run.
        case serving(Running)
        /// The threads have ended, or never ran.
        case stopped
    }

    private struct Running: Sendable {
        let frontend: SocketThread
        let workers: WorkerPool
        let endpoints: [String]
    }

    /// A server for `services`, and for the runtime's own HealthService and RuntimeService.
    ///
    /// - Throws: `METHOD_COLLISION` where two methods have the same name on the wire.
    public init(configuration: ServerConfiguration, services: [any Service], logger: Logger = Logger(label: "rpc-server")) throws(RPCError) {
        let counters = ServerCounters()
        let introspection = Introspection(
            counters: counters, version: configuration.version, limits: configuration.limits, gauges: configuration.gauges)
        let all = services + [introspection.health, introspection.runtime]
        methods = try MethodTable(all)
        dispatcher = Dispatcher(
            policies: methods.policies, workers: configuration.workers, reserved: ServerConfiguration.reservedWorkers)
        epoch = configuration.epoch
        introspection.attach(methods: methods, dispatcher: dispatcher, epoch: epoch)
        self.configuration = configuration
        self.counters = counters
        self.introspection = introspection
        self.logger = logger
    }

    deinit { introspection.detach() }

    /// Listens, and begins to serve.
    ///
    /// - Throws: `CANNOT_LISTEN` where an endpoint is taken or malformed, `ALREADY_STARTED` at the second time: a server
    ///   starts once.
    public func start() throws(RPCError) {
        let isFirst = state.withLock { state in
            guard case .created = state else { return false }
            state = .stopped
            return true
        }
        guard isFirst else {
            throw RPCError(
                .failedPrecondition, reason: "ALREADY_STARTED", "a server starts once; make another", disposition: .notExecuted)
        }
        let started = StartSignal()
        let frontend = SocketThread(name: "frontend") { [self] in serve(started) }
        switch started.wait() {
        case .success(let endpoints):
            let workers = WorkerPool(
                count: configuration.workers + ServerConfiguration.reservedWorkers, dispatcher: dispatcher, methods: methods,
                hasInterceptors: !configuration.interceptors.isEmpty, logger: logger)
            state.withLock { $0 = .serving(Running(frontend: frontend, workers: workers, endpoints: endpoints)) }
        case .failure(let error):
            frontend.join()
            throw RPCError(.unavailable, reason: "CANNOT_LISTEN", "\(error)", disposition: .notExecuted)
        }
    }

    /// The frontend thread: the socket lives and dies in here.
    private func serve(_ started: StartSignal) {
        // A late answer in a mailbox that nobody reads would keep its call, and the call the mailbox, for ever.
        defer { frontendInbox.close { _ in } }
        do throws(ZeroMQError) {
            var endpoints: [String] = []
            let socket = try Frontend.listen(configuration, endpoints: &endpoints)
            let watch = try ConnectionWatch(socket, counters: counters, logger: logger)
            defer {
                socket.stopMonitoring()
                watch.join()
            }
            var frontend = Frontend(
                configuration: configuration, methods: methods, dispatcher: dispatcher, counters: counters, epoch: epoch,
                inbox: frontendInbox, logger: logger)
            started.signal(.success(endpoints))
            try frontend.run(socket)
            // Answers and BYE are on their way: libzmq may take a moment to hand them to the kernel.
            try socket.set(.linger, 1000)
        } catch {
            // Before the start it is the caller's to deal with. Afterwards no peer can cause it, and nobody else would learn
            // of it: better no process, which is started again, than one that listens to nobody.
            if !started.signal(.failure(error)) {
                logger.critical("the frontend cannot go on", metadata: ["error": "\(error)"])
                preconditionFailure("the frontend cannot go on: \(error)")
            }
        }
    }

    /// The addresses that the server really listens on; empty before `start`.
    public var endpoints: [String] {
        state.withLock { state in
            if case .serving(let running) = state { running.endpoints } else { [] }
        }
    }

    /// What was counted since the start: what `RuntimeService/Stats` answers.
    package var stats: Runtime.StatsResponse { introspection.stats }

    /// Refuses new calls, waits up to `drainTimeout` for those in flight, says BYE, and ends all threads. A handler that does not
    /// return is waited for half a second more, and then left to itself: its caller has been told MAYBE.
    public func shutdown() {
        let running: Running? = state.withLock { state in
            guard case .serving(let running) = state else { return nil }
            state = .stopped
            return running
        }
        guard let running else { return }
        frontendInbox.post(.drain)
        running.frontend.join()
        dispatcher.close()
        let stuck = running.workers.join(atMost: Self.stuckHandlerLimit)
        if stuck > 0 { logger.error("handlers did not return and are left behind", metadata: ["threads": "\(stuck)"]) }
    }

    private static let stuckHandlerLimit = Duration.milliseconds(500)
}

/// Hands the outcome of the start from the frontend thread to the caller of `start`.
private final class StartSignal: Sendable {
    private let outcome = Mutex<Result<[String], ZeroMQError>?>(nil)
    private let semaphore = Semaphore()

    /// Only the first outcome counts: true for it.
    @discardableResult func signal(_ result: Result<[String], ZeroMQError>) -> Bool {
        let isFirst = outcome.withLock { outcome in
            defer { outcome = outcome ?? result }
            return outcome == nil
        }
        if isFirst { semaphore.signal() }
        return isFirst
    }

    func wait() -> Result<[String], ZeroMQError> {
        semaphore.wait()
        guard let outcome = outcome.withLock({ $0 }) else { preconditionFailure("signalled without an outcome") }
        return outcome
    }
}
