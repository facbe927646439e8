import RPC
import ZeroMQ

/// What is asked of a connection thread.
enum ConnectionCommand: Sendable {
    case start(CallAttempt)
    case cancel(CallAttempt)
    /// Another server of the channel is ready: what cannot be sent here can go there.
    case lookAround
    case close
}

/// The thread behind one server of a channel: it owns the DEALER socket, and every try of a call from its posting to its outcome.
///
/// libzmq is given only what can leave at once, while there is a session: a call that would wait in its buffers could neither be timed
/// out nor told apart from one that was sent. A socket serves one connection and goes with it. ZMQ_IMMEDIATE, which is made for this, is
/// not used: with it, a connection that is lost while a message of two frames is read makes libzmq 4.3.4 abort the process
/// (docs/decisions/a-socket-a-connection.md). What was sent and not answered when the connection goes is ended as MAYBE.
/// What waits while the server takes no calls and another does is ended as unsent: the calling task takes it there.
struct Connection: ~Copyable {
    let subchannel: Subchannel
    /// The other servers of the channel.
    let others: [Subchannel]
    let name: String
    let configuration: ChannelConfiguration

    var calls = PendingCalls()
    var phase = Phase.connecting
    var liveness = Liveness(heartbeat: .max, silenceLimit: .max, now: .now)
    var budget = RetryBudget() {
        didSet { if budget.allowsRetries != oldValue.allowsRetries { subchannel.tell(allowsRetries: budget.allowsRetries) } }
    }
    var isClosed = false
    var now = MonotonicTime.now
    var helloSentAt = MonotonicTime.now
    /// libzmq took nothing more at the last try: the server does not read as fast as this side sends.
    var isBlocked = false
    /// Calls that were posted here so far.
    private var startedCount = 0
    /// What others were told last.
    private var toldStanding = Standing.away
    let header = Frame()
    /// What is being sent; sending empties it.
    let outgoing = Frame()

    var endpoint: String { subchannel.endpoint }

    enum Phase: Equatable {
        /// No connection.
        case connecting
        /// Connected, and without a session.
        case greeting(Greeting)
        /// The session is open: calls may be sent.
        case ready(SessionTerms)
        /// The server finishes what it has: no new calls.
        case draining(SessionTerms)
        /// This side has said BYE to a draining server, which will end the connection.
        case parted(since: MonotonicTime)
    }

    enum Greeting: Equatable {
        /// HELLO is to be sent.
        case due
        case sent
        /// The server has answered that it does not want this client.
        case refused
    }

    struct SessionTerms: Equatable {
        var maxInFlight: Int
        var maxRequestBytes: Int
    }

    static let burst = 256
    /// libzmq tries again after this time and a random part of as much, without growing pauses: who waits for a server that
    /// starts waits for this besides the start.
    static let reconnectMilliseconds: Int32 = 20
    /// A host that does not even refuse is tried anew after this time; the kernel's own pauses grow to a minute.
    static let connectMilliseconds: Int32 = 1_000
    /// A full pipe is tried again after this time.
    static let blockedRetryMicroseconds: UInt64 = 2_000
    /// A HELLO without an answer is repeated after this time, where calls wait.
    static let helloRetryMicroseconds: UInt64 = 1_000_000
    /// A server that was told BYE and does not go is connected to anew after this time.
    static let partedMicroseconds: UInt64 = 3_000_000
    /// How long a server rests at most after it refused a call, whatever it asked for: it is about that call, the rest about all.
    static let longestRest = Duration.seconds(1)

    private init(to index: Int, of servers: SubchannelList, name: String, configuration: ChannelConfiguration) {
        subchannel = servers[index]
        others = servers.others(than: index)
        self.name = name
        self.configuration = configuration
    }

    /// The body of the thread: returns once the channel is closed.
    static func run(
        to index: Int, of servers: SubchannelList, name: String, configuration: ChannelConfiguration, started: StartSignal
    ) {
        var connection = Connection(to: index, of: servers, name: name, configuration: configuration)
        var isStarted = false
        while !connection.isClosed {
            let began = MonotonicTime.now
            do throws(ZeroMQError) {
                try connection.connectAndServe {
                    if !isStarted { started.signal(nil) }
                    isStarted = true
                }
                try connection.pause(since: began)
            } catch {
                guard isStarted else { return started.signal(error) }
                // A socket call that cannot fail has failed: nothing can be said about what was sent.
                connection.endAll(RPCError(.internalError, reason: "SOCKET_FAILED", "\(error)", disposition: .maybe))
            }
        }
    }

    /// A server that takes connections only to end them is not asked again without a pause.
    private func pause(since began: MonotonicTime) throws(ZeroMQError) {
        let rest = Int(Self.reconnectMilliseconds) - Int(clamping: MonotonicTime.now.microseconds(since: began) / 1000)
        guard !isClosed, rest > 0 else { return }
        var poller = Poller()
        try poller.wait(milliseconds: rest)
    }

    /// Serves with a new socket until its connection is lost, the channel is closed, or the server was silent for too long.
    mutating func connectAndServe(didConnect: () -> Void) throws(ZeroMQError) {
        let socket = try Socket(.dealer)
        try socket.set(.reconnectInterval, Self.reconnectMilliseconds)
        try socket.set(.connectTimeout, Self.connectMilliseconds)
        let monitorEndpoint = "inproc://orderwire-monitor-\(UInt64.random(in: .min ... .max))"
        try socket.monitor(on: monitorEndpoint, events: [.handshakeSucceeded, .disconnected])
        let monitor = try ConnectionMonitor(endpoint: monitorEndpoint)
        // Before the reader goes: an event without a reader stops libzmq's I/O thread.
        defer { socket.stopMonitoring() }
        try socket.connect(endpoint)
        didConnect()
        phase = .connecting
        var poller = Poller()
        _ = poller.add(socket)
        _ = poller.add(fileDescriptor: subchannel.commands.fileDescriptor)
        _ = poller.add(monitor.socket)
        while try step(socket, monitor) {
            guard calls.waitingCount == 0 || !canSend || isBlocked, subchannel.commands.prepareToSleep() else { continue }
            try poller.wait(milliseconds: millisecondsToNextTick)
            subchannel.commands.didWake()
        }
    }

    /// Does what can be done without waiting; false where this socket is no longer of use.
    mutating func step(_ socket: borrowing Socket, _ monitor: borrowing ConnectionMonitor) throws(ZeroMQError) -> Bool {
        now = .now
        while let event = try monitor.next() {
            guard try note(event, of: socket) else { return false }
        }
        if case .greeting(.due) = phase { try sayHello(on: socket) }
        _ = try receiveBurst(from: socket)
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
        let isAlive = try checkLiveness(on: socket)
        if !others.isEmpty { tellOthers() }
        return isAlive
    }

    /// False where the socket has lost its connection, and is of no more use: libzmq would connect it again and send what waits in it,
    /// which nobody wants any more. What arrived before the end counts.
    private mutating func note(_ event: ConnectionEvents, of socket: borrowing Socket) throws(ZeroMQError) -> Bool {
        if event == .handshakeSucceeded {
            phase = .greeting(.due)
            return true
        }
        // Never connected, or parted: nothing waits in it.
        guard event == .disconnected, phase != .connecting else { return true }
        while try receiveBurst(from: socket) {}
        phase = .connecting
        endInFlight("the connection to \(endpoint) was lost")
        return false
    }

    // MARK: Commands

    mutating func obeyCommands(on socket: borrowing Socket) throws(ZeroMQError) {
        let commands = subchannel.commands
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
        case .lookAround: break
        case .cancel(let call): try cancel(call, on: socket)
        case .close: isClosed = true
        }
    }

    mutating func start(_ call: CallAttempt) {
        startedCount += 1
        call.hasStarted = true
        if call.isCancelled {
            call.end(.failure(.final(Channel.cancelled)))
        } else if calls.waitingCount >= configuration.maxWaitingCalls {
            call.end(.failure(.final(RPCError(
                .resourceExhausted, reason: "OUTBOX_FULL",
                "\(configuration.maxWaitingCalls) calls wait in this client already; wait for some to end",
                disposition: .notExecuted))))
        } else if case .ready(let terms) = phase, call.request.payload.count > terms.maxRequestBytes {
            call.end(.failure(.final(RPCError(
                .resourceExhausted, reason: "MESSAGE_TOO_LARGE",
                "the request has \(call.request.payload.count) bytes, the server's limit is \(terms.maxRequestBytes); send less at once",
                disposition: .notExecuted))))
        } else {
            calls.wait(call)
        }
    }

    mutating func cancel(_ call: CallAttempt, on socket: borrowing Socket) throws(ZeroMQError) {
        call.isCancelled = true
        // A task that is cancelled already posts this before it starts the call: then `start` ends it.
        guard call.hasStarted, !call.isDone else { return }
        if !call.wasSent {
            // The table skips it.
            call.end(.failure(.final(Channel.cancelled)))
        } else if try !sendControl(.cancel, id: call.id, on: socket), let call = calls.take(id: call.id) {
            // The server answers a CANCEL at once; where it cannot be sent, nothing more will be learned.
            var error = Channel.cancelled
            error.disposition = .maybe
            call.end(.failure(.final(error)))
        }
    }

    // MARK: Among other servers

    /// Tells the channel how this server stands, and moves on what cannot be sent here.
    private mutating func tellOthers() {
        let standing = standing
        subchannel.tell(done: startedCount - calls.waitingCount - calls.inFlightCount)
        if standing != toldStanding {
            toldStanding = standing
            subchannel.tell(standing)
            // What others report of it is from another life.
            if standing == .away { subchannel.tell(reported: 0) }
            // They cannot know when to look for it.
            if standing == .ready { for other in others { other.commands.post(.lookAround) } }
        }
        if standing != .ready, calls.waitingCount > 0, others.contains(where: \.isReady) { handOver() }
    }

    private var standing: Standing {
        switch phase {
        case .ready: liveness.isSuspect(at: now) ? .suspect : .ready
        case .greeting(.refused): .refusing
        case .connecting, .greeting, .draining, .parted: .away
        }
    }

    /// Gives the calls back that wait, for their tasks to take them to another server.
    mutating func handOver() {
        for call in calls.takeMovable() { call.end(.failure(.unsent)) }
    }

    // MARK: Ends

    mutating func endInFlight(_ text: String) {
        let lost = calls.takeInFlight()
        // One event, however many calls it ends.
        if !lost.isEmpty { budget.fail() }
        for call in lost {
            call.end(.failure(.lost(RPCError(
                .unavailable, reason: "CONNECTION_LOST", text + " while the call was in flight; it may have run",
                disposition: .maybe))))
        }
    }

    mutating func endAll(_ error: RPCError) {
        for call in calls.takeInFlight() { call.end(.failure(.final(error))) }
        var unsent = error
        unsent.disposition = .notExecuted
        for call in calls.takeWaiting() { call.end(.failure(.final(unsent))) }
    }
}
