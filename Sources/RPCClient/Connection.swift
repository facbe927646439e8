import RPC
import ZeroMQ

/// What a channel asks of its connection thread.
enum ConnectionCommand: Sendable {
    case start(ClientCall)
    case cancel(ClientCall)
    case close
}

/// The thread behind a channel: it owns the DEALER socket, and every call from its posting to its outcome.
///
/// libzmq is given only what can leave at once (ZMQ_IMMEDIATE): a call that would wait in its buffers could neither be timed
/// out nor told apart from one that was sent. What was sent and not answered when the connection goes is ended as MAYBE.
struct Connection: ~Copyable {
    let endpoint: String
    let name: String
    let configuration: ChannelConfiguration
    let commands: Mailbox<ConnectionCommand>

    var calls = PendingCalls()
    var phase = Phase.connecting
    var isClosed = false
    var now = MonotonicTime.now
    var lastHeard = MonotonicTime.now
    /// When the PING was sent that no frame has followed yet.
    var pingSentAt: MonotonicTime?
    var helloSentAt = MonotonicTime.now
    /// libzmq took nothing more at the last try: the server does not read as fast as this side sends.
    var isBlocked = false
    let header = Frame()
    /// What is being sent; sending empties it.
    let outgoing = Frame()

    enum Phase: Equatable {
        /// No connection.
        case connecting
        /// Connected; HELLO is to be sent, or was.
        case greeting(isSent: Bool)
        /// The session is open: calls may be sent.
        case ready(SessionTerms)
        /// The server finishes what it has: no new calls.
        case draining(SessionTerms)
        /// This side has said BYE to a draining server, which will end the connection.
        case parted(since: MonotonicTime)
    }

    struct SessionTerms: Equatable {
        var maxInFlight: Int
        var maxRequestBytes: Int
        var heartbeat: UInt64
    }

    static let burst = 256
    static let reconnectMilliseconds: Int32 = 20
    static let reconnectMaxMilliseconds: Int32 = 500
    /// A full pipe is tried again after this time.
    static let blockedRetryMicroseconds: UInt64 = 2_000
    /// A HELLO without an answer is repeated after this time, where calls wait.
    static let helloRetryMicroseconds: UInt64 = 1_000_000
    /// A server that was told BYE and does not go is connected to anew after this time.
    static let partedMicroseconds: UInt64 = 3_000_000

    private init(
        endpoint: String, name: String, configuration: ChannelConfiguration, commands: Mailbox<ConnectionCommand>
    ) {
        self.endpoint = endpoint
        self.name = name
        self.configuration = configuration
        self.commands = commands
    }

    /// The body of the thread: returns once the channel is closed.
    static func run(
        endpoint: String, name: String, configuration: ChannelConfiguration, commands: Mailbox<ConnectionCommand>,
        started: StartSignal
    ) {
        var connection = Connection(endpoint: endpoint, name: name, configuration: configuration, commands: commands)
        var isStarted = false
        while !connection.isClosed {
            do throws(ZeroMQError) {
                try connection.connectAndServe {
                    if !isStarted { started.signal(nil) }
                    isStarted = true
                }
            } catch {
                guard isStarted else { return started.signal(error) }
                // A socket call that cannot fail has failed: nothing can be said about what was sent.
                connection.endAll(RPCError(.internalError, reason: "SOCKET_FAILED", "\(error)", disposition: .maybe))
            }
        }
    }

    /// Serves with a new socket until the channel is closed or the server was silent for too long.
    mutating func connectAndServe(didConnect: () -> Void) throws(ZeroMQError) {
        let socket = try Socket(.dealer)
        try socket.set(.immediate, 1)
        try socket.set(.reconnectInterval, Self.reconnectMilliseconds)
        try socket.set(.reconnectIntervalMax, Self.reconnectMaxMilliseconds)
        let monitorEndpoint = "inproc://orderwire-monitor-\(UInt64.random(in: .min ... .max))"
        try socket.monitor(on: monitorEndpoint, events: [.handshakeSucceeded, .disconnected])
        let monitor = try ConnectionMonitor(endpoint: monitorEndpoint)
        // Before the reader goes: an event without a reader stops libzmq's I/O thread.
        defer { socket.stopMonitoring() }
        try socket.connect(endpoint)
        didConnect()
        phase = .connecting
        pingSentAt = nil
        var poller = Poller()
        _ = poller.add(socket)
        _ = poller.add(fileDescriptor: commands.fileDescriptor)
        _ = poller.add(monitor.socket)
        while try step(socket, monitor) {
            guard calls.waitingCount == 0 || !canSend || isBlocked, commands.prepareToSleep() else { continue }
            try poller.wait(milliseconds: millisecondsToNextTick)
            commands.didWake()
        }
    }

    /// Does what can be done without waiting; false where this socket is no longer of use.
    mutating func step(_ socket: borrowing Socket, _ monitor: borrowing ConnectionMonitor) throws(ZeroMQError) -> Bool {
        now = .now
        while let event = try monitor.next() { note(event) }
        if case .greeting(isSent: false) = phase { try sayHello(on: socket) }
        try receiveBurst(from: socket)
        try obeyCommands(on: socket)
        if isClosed {
            if isGreeted { _ = try sendControl(.bye, on: socket) }
            // BYE and the last CANCELs may take a moment to reach the kernel.
            try socket.set(.linger, 100)
            return false
        }
        try sendWaiting(on: socket)
        expire()
        if case .draining = phase, calls.inFlightCount == 0, try sendControl(.bye, on: socket) { phase = .parted(since: now) }
        return try checkLiveness(on: socket)
    }

    mutating func note(_ event: ConnectionEvents) {
        if event == .handshakeSucceeded {
            phase = .greeting(isSent: false)
            lastHeard = now
            pingSentAt = nil
        } else if event == .disconnected {
            phase = .connecting
            endInFlight("the connection to \(endpoint) was lost")
        }
    }

    // MARK: Commands

    mutating func obeyCommands(on socket: borrowing Socket) throws(ZeroMQError) {
        let commands = self.commands
        try commands.drain { (command) throws(ZeroMQError) in try obey(command, on: socket) }
        if isClosed {
            // Nothing can be posted after this: what would come later would never be answered.
            try commands.close { (command) throws(ZeroMQError) in try obey(command, on: socket) }
            endAll(Channel.channelClosed(.maybe))
        }
    }

    mutating func obey(_ command: ConnectionCommand, on socket: borrowing Socket) throws(ZeroMQError) {
        switch command {
        case .start(let call): start(call)
        case .cancel(let call): try cancel(call, on: socket)
        case .close: isClosed = true
        }
    }

    mutating func start(_ call: ClientCall) {
        call.hasStarted = true
        if call.isCancelled {
            call.end(.failure(cancelled))
        } else if calls.waitingCount >= configuration.maxWaitingCalls {
            call.end(.failure(RPCError(
                .resourceExhausted, reason: "OUTBOX_FULL",
                "\(configuration.maxWaitingCalls) calls wait in this client already; wait for some to end",
                disposition: .notExecuted)))
        } else if case .ready(let terms) = phase, call.payload.count > terms.maxRequestBytes {
            call.end(.failure(RPCError(
                .resourceExhausted, reason: "MESSAGE_TOO_LARGE",
                "the request has \(call.payload.count) bytes, the server's limit is \(terms.maxRequestBytes); send less at once",
                disposition: .notExecuted)))
        } else {
            calls.wait(call)
        }
    }

    mutating func cancel(_ call: ClientCall, on socket: borrowing Socket) throws(ZeroMQError) {
        call.isCancelled = true
        // A task that is cancelled already posts this before it starts the call: then `start` ends it.
        guard call.hasStarted, !call.isDone else { return }
        if call.id == 0 {
            // Not sent: the table skips it.
            call.end(.failure(cancelled))
        } else if try !sendControl(.cancel, id: call.id, on: socket), let call = calls.take(id: call.id) {
            // The server answers a CANCEL at once; where it cannot be sent, nothing more will be learned.
            var error = cancelled
            error.disposition = .maybe
            call.end(.failure(error))
        }
    }

    var cancelled: RPCError {
        RPCError(.cancelled, reason: "CANCELLED", "cancelled before it was sent", disposition: .notExecuted)
    }

    // MARK: Ends

    mutating func endInFlight(_ text: String) {
        for call in calls.takeInFlight() {
            call.end(.failure(RPCError(
                .unavailable, reason: "CONNECTION_LOST", text + " while the call was in flight; it may have run",
                disposition: .maybe)))
        }
    }

    mutating func endAll(_ error: RPCError) {
        for call in calls.takeInFlight() { call.end(.failure(error)) }
        var unsent = error
        unsent.disposition = .notExecuted
        for call in calls.takeWaiting() { call.end(.failure(unsent)) }
    }
}
