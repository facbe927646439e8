import Protobuf
import ProtoRuntime
import RPC
import Synchronization
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
    private let endpoint: String
    private let name: String
    private let configuration: ChannelConfiguration
    private let commands: Mailbox<ConnectionCommand>

    private var calls = PendingCalls()
    private var phase = Phase.connecting
    private var isClosed = false
    private var now = MonotonicTime.now
    private var lastHeard = MonotonicTime.now
    /// When the PING was sent that no frame has followed yet.
    private var pingSentAt: MonotonicTime?
    private var helloSentAt = MonotonicTime.now
    /// libzmq took nothing more at the last try: the server does not read as fast as this side sends.
    private var isBlocked = false
    private let header = Frame()
    /// What is being sent; sending empties it.
    private let outgoing = Frame()

    private enum Phase: Equatable {
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

    private struct SessionTerms: Equatable {
        var maxInFlight: Int
        var maxRequestBytes: Int
        var heartbeat: UInt64
    }

    private static let burst = 256
    private static let reconnectMilliseconds: Int32 = 20
    private static let reconnectMaxMilliseconds: Int32 = 500
    /// A full pipe is tried again after this time.
    private static let blockedRetryMicroseconds: UInt64 = 2_000
    /// A HELLO without an answer is repeated after this time, where calls wait.
    private static let helloRetryMicroseconds: UInt64 = 1_000_000
    /// A server that was told BYE and does not go is connected to anew after this time.
    private static let partedMicroseconds: UInt64 = 3_000_000

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
    private mutating func connectAndServe(didConnect: () -> Void) throws(ZeroMQError) {
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
    private mutating func step(_ socket: borrowing Socket, _ monitor: borrowing ConnectionMonitor) throws(ZeroMQError) -> Bool {
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

    private mutating func note(_ event: ConnectionEvents) {
        if event == .handshakeSucceeded {
            phase = .greeting(isSent: false)
            lastHeard = now
            pingSentAt = nil
        } else if event == .disconnected {
            phase = .connecting
            endInFlight("the connection to \(endpoint) was lost")
        }
    }

    // MARK: Sending

    /// The server may hold a session of this connection.
    private var isGreeted: Bool {
        switch phase {
        case .connecting, .parted: false
        case .greeting, .ready, .draining: true
        }
    }

    private var canSend: Bool {
        guard case .ready(let terms) = phase else { return false }
        return calls.inFlightCount < terms.maxInFlight
    }

    private mutating func sendWaiting(on socket: borrowing Socket) throws(ZeroMQError) {
        isBlocked = false
        guard case .ready(let terms) = phase else { return }
        while calls.inFlightCount < terms.maxInFlight, let call = calls.nextToSend() {
            let id = calls.reserveID()
            guard try send(call, id: id, on: socket) else {
                isBlocked = true
                return
            }
            calls.didSend(id: id)
        }
    }

    /// Sends a request; false where libzmq takes nothing now.
    private func send(_ call: ClientCall, id: UInt64, on socket: borrowing Socket) throws(ZeroMQError) -> Bool {
        let sentAt = MonotonicTime.now
        // A deadline that has just passed is found by `expire`; 0 would mean the server's default.
        let budget = max(1, call.deadline.time.microseconds(since: sentAt))
        let header = FrameHeader.request(
            callID: id, method: call.method, sentAt: sentAt.microseconds, budget: UInt32(clamping: budget),
            extensionLength: UInt16(call.extensions.count))
        let size = FrameHeader.size + call.extensions.count
        let outcome = try withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { (bytes) throws(ZeroMQError) in
            header.write(to: bytes)
            UnsafeMutableRawBufferPointer(rebasing: bytes[FrameHeader.size...]).copyBytes(from: call.extensions)
            return try socket.send(copying: UnsafeRawBufferPointer(bytes), more: true)
        }
        guard outcome == .sent else { return false }
        // The call keeps its payload: a server that did not execute it may ask for it again.
        call.payload.share(with: outgoing)
        return try socket.send(outgoing, more: false) == .sent
    }

    private func sendControl(_ type: FrameType, id: UInt64 = 0, payload: Frame = Frame(), on socket: borrowing Socket) throws(ZeroMQError) -> Bool {
        var header = FrameHeader(type: type)
        header.id = id
        guard try socket.send(Frame(copying: header.bytes), more: true) == .sent else { return false }
        return try socket.send(payload, more: false) == .sent
    }

    private mutating func sayHello(on socket: borrowing Socket) throws(ZeroMQError) {
        let version = Int32(FrameHeader.version)
        let hello = Runtime.Hello(
            minVersion: version, maxVersion: version, clientName: name, features: [], userAgent: configuration.userAgent)
        let payload: [UInt8]
        do throws(EncodingError) {
            payload = try hello.serializedBytes()
        } catch {
            return failGreeting(.invalidFields([.init(field: error.field, description: error.reason)]))
        }
        guard try sendControl(.hello, payload: Frame(copying: payload), on: socket) else { return }
        phase = .greeting(isSent: true)
        helloSentAt = now
    }

    // MARK: Receiving

    private mutating func receiveBurst(from socket: borrowing Socket) throws(ZeroMQError) {
        for _ in 0..<Self.burst {
            var outcome = try socket.receive(into: header)
            if outcome == .wouldBlock { return }
            let payload = Frame()
            var frames = 1
            while outcome == .more {
                outcome = try socket.receive(into: payload)
                frames += 1
            }
            lastHeard = now
            pingSentAt = nil
            if frames == 2 { accept(payload) }
        }
    }

    /// A frame that cannot be read is skipped: its call, if it was for one, ends by its deadline.
    private mutating func accept(_ payload: Frame) {
        let header: FrameHeader
        do throws(FrameHeader.Defect) {
            header = try FrameHeader(self.header.unsafeBytes)
        } catch {
            return
        }
        switch header.type {
        case .response: end(header, payload)
        case .helloAck: openSession(payload)
        case .drain:
            if case .ready(let terms) = phase { phase = .draining(terms) }
        case .bye:
            phase = .connecting
            endInFlight("the server at \(endpoint) ended the session")
        case .protocolError: acceptProtocolError(header, payload)
        default: break
        }
    }

    private mutating func end(_ header: FrameHeader, _ payload: Frame) {
        guard let call = calls.take(id: header.id) else { return }
        guard header.status != .ok else { return call.end(.success(payload)) }
        let error = RPCError(header: header, payload: payload.unsafeBytes)
        guard error.disposition == .notExecuted else { return call.end(.failure(error)) }
        switch error.reason {
        case "SESSION_UNKNOWN":
            if case .ready = phase { phase = .greeting(isSent: false) }
            sendAgain(call)
        case "SHUTTING_DOWN":
            // DRAIN may have been lost to a full pipe; without it the call would go there again and again.
            if case .ready(let terms) = phase { phase = .draining(terms) }
            sendAgain(call)
        default:
            call.end(.failure(error))
        }
    }

    /// The server vouches that the call was not executed: it goes into the next session, in its remaining time.
    private mutating func sendAgain(_ call: ClientCall) {
        if call.isCancelled { return call.end(.failure(cancelled)) }
        call.id = 0
        call.sendBy = min(call.deadline.time, now.advanced(by: configuration.connectTimeout))
        calls.wait(call)
    }

    private mutating func openSession(_ payload: Frame) {
        do throws(DecodingError) {
            let ack = try Runtime.HelloAck(serializedBytes: payload.unsafeBytes)
            phase = .ready(SessionTerms(
                maxInFlight: min(PendingCalls.maxInFlight, max(1, Int(ack.limits?.maxInFlight ?? 1))),
                maxRequestBytes: Int(ack.limits?.maxRequestBytes ?? 0),
                heartbeat: UInt64(max(1, ack.heartbeatIntervalMs)) * 1000))
        } catch {
            failGreeting(RPCError(
                .internalError, reason: "MALFORMED_RESPONSE", "the server's HELLO_ACK cannot be read: \(error.reason)",
                disposition: .notExecuted))
        }
    }

    private mutating func acceptProtocolError(_ header: FrameHeader, _ payload: Frame) {
        let error = RPCError(header: header, payload: payload.unsafeBytes)
        if let call = calls.take(id: header.id) {
            call.end(.failure(error))
        } else if case .greeting = phase {
            failGreeting(error)
        }
    }

    /// The server does not want this client: the calls that wait learn why. Later ones try again.
    private mutating func failGreeting(_ error: RPCError) {
        phase = .greeting(isSent: true)
        for call in calls.takeWaiting() { call.end(.failure(error)) }
    }

    // MARK: Commands

    private mutating func obeyCommands(on socket: borrowing Socket) throws(ZeroMQError) {
        let commands = self.commands
        try commands.drain { (command) throws(ZeroMQError) in try obey(command, on: socket) }
        if isClosed {
            // Nothing can be posted after this: what would come later would never be answered.
            try commands.close { (command) throws(ZeroMQError) in try obey(command, on: socket) }
            endAll(Channel.channelClosed(.maybe))
        }
    }

    private mutating func obey(_ command: ConnectionCommand, on socket: borrowing Socket) throws(ZeroMQError) {
        switch command {
        case .start(let call): start(call)
        case .cancel(let call): try cancel(call, on: socket)
        case .close: isClosed = true
        }
    }

    private mutating func start(_ call: ClientCall) {
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

    private mutating func cancel(_ call: ClientCall, on socket: borrowing Socket) throws(ZeroMQError) {
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

    private var cancelled: RPCError {
        RPCError(.cancelled, reason: "CANCELLED", "cancelled before it was sent", disposition: .notExecuted)
    }

    // MARK: Time

    private mutating func expire() {
        let expired = calls.takeExpired(at: now)
        for call in expired.inFlight { call.end(.failure(.deadlineExceeded(at: "client", disposition: .maybe))) }
        for call in expired.waiting {
            let isLate = call.deadline.time <= now
            call.end(.failure(isLate ? .deadlineExceeded(at: "client", disposition: .notExecuted) : unreachable))
        }
    }

    private var unreachable: RPCError {
        RPCError(
            .unavailable, reason: "SERVER_UNREACHABLE",
            "no session with \(endpoint) within \(configuration.connectTimeout); is the server running?",
            disposition: .notExecuted, retryDelay: .milliseconds(500))
    }

    /// Sends PING where it is due; false where the server did not answer one in time.
    private mutating func checkLiveness(on socket: borrowing Socket) throws(ZeroMQError) -> Bool {
        let heartbeat: UInt64
        switch phase {
        case .ready(let terms), .draining(let terms):
            heartbeat = terms.heartbeat
        case .greeting(isSent: true):
            // The server refused the last HELLO, or lost it.
            if !calls.isEmpty, now.microseconds(since: helloSentAt) >= Self.helloRetryMicroseconds { phase = .greeting(isSent: false) }
            return true
        case .parted(let since):
            return now.microseconds(since: since) < Self.partedMicroseconds
        case .connecting, .greeting(isSent: false):
            return true
        }
        if let pingSentAt {
            guard now.microseconds(since: pingSentAt) > configuration.silenceLimit.wholeMicroseconds else { return true }
            endInFlight("the server at \(endpoint) was silent for \(configuration.silenceLimit)")
            return false
        }
        if now.microseconds(since: lastHeard) >= heartbeat {
            // Where the pipe is full, the server reads nothing, which is as silent as no answer.
            _ = try sendControl(.ping, on: socket)
            pingSentAt = now
        }
        return true
    }

    private var millisecondsToNextTick: Int? {
        var next: UInt64?
        func consider(_ microseconds: UInt64) { next = min(next ?? .max, microseconds) }
        if let scan = calls.nextScan { consider(scan.microseconds(since: now)) }
        switch phase {
        case .ready(let terms), .draining(let terms):
            if let pingSentAt {
                consider(pingSentAt.advanced(by: configuration.silenceLimit).microseconds(since: now))
            } else {
                consider(lastHeard.advanced(byMicroseconds: terms.heartbeat).microseconds(since: now))
            }
        case .greeting(isSent: false): consider(0)
        case .greeting(isSent: true):
            if !calls.isEmpty { consider(helloSentAt.advanced(byMicroseconds: Self.helloRetryMicroseconds).microseconds(since: now)) }
        case .parted(let since):
            consider(since.advanced(byMicroseconds: Self.partedMicroseconds).microseconds(since: now))
        case .connecting: break
        }
        if isBlocked { consider(Self.blockedRetryMicroseconds) }
        return next.map { Int(clamping: $0 / 1000 + 1) }
    }

    // MARK: Ends

    private mutating func endInFlight(_ text: String) {
        for call in calls.takeInFlight() {
            call.end(.failure(RPCError(
                .unavailable, reason: "CONNECTION_LOST", text + " while the call was in flight; it may have run",
                disposition: .maybe)))
        }
    }

    private mutating func endAll(_ error: RPCError) {
        for call in calls.takeInFlight() { call.end(.failure(error)) }
        var unsent = error
        unsent.disposition = .notExecuted
        for call in calls.takeWaiting() { call.end(.failure(unsent)) }
    }
}
