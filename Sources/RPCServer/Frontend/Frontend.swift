import Glibc
import Logging
import RPC
import Synchronization
import ZeroMQ

/// The thread that owns the ROUTER socket: it reads, admits or refuses, and sends answers. It parses headers and never a
/// call's payload, and it never stops reading: what it would not read would wait in buffers where nobody can refuse it.
///
/// Everything in this object belongs to that thread, but for the mailboxes and counters.
struct Frontend: ~Copyable {
    let configuration: ServerConfiguration
    let limits: ServerLimits
    let methods: MethodTable
    let dispatcher: Dispatcher
    let counters: ServerCounters
    let epoch: UInt32
    let logger: Logger
    let inbox: Mailbox<FrontendInput>

    var sessions: SessionTable
    var inFlight = InFlightTable()
    /// Calls of the current burst, queued together when it ends.
    var admitted: [Dispatcher.Arrival] = []
    var state = State.serving
    private var now = MonotonicTime.now
    private var lastSilenceCheck = MonotonicTime.now
    /// Since when calls have waited without a break, or when a worker was last nudged for them.
    private var backlogSince = MonotonicTime.now
    /// When a full table of sessions was last searched for connections that are gone.
    var lastReachabilityCheck = MonotonicTime(nanoseconds: 0)
    /// Calls, and bytes of their payloads, that were abandoned while they waited, since the queues were last cleared of them.
    private var abandonedWaiting = (calls: 0, bytes: 0)
    /// What `oldestArrival` found, and when.
    private var knownOldest: (arrival: MonotonicTime?, at: MonotonicTime)?

    enum State: Equatable {
        /// Calls are taken.
        case serving
        /// No new call is taken; those in flight may end.
        case draining(since: MonotonicTime)
        /// All is answered.
        case stopped
    }

    /// Most messages that are read before answers get their turn.
    private static let burst = 256
    /// How long to look for work before going to sleep, in microseconds: waking up costs about as much. Only after work:
    /// an idle server sleeps.
    private static let spinMicroseconds: UInt64 = 25

    init(
        configuration: ServerConfiguration, methods: MethodTable, dispatcher: Dispatcher, counters: ServerCounters,
        epoch: UInt32, inbox: Mailbox<FrontendInput>, logger: Logger
    ) {
        self.configuration = configuration
        self.limits = configuration.limits
        self.methods = methods
        self.dispatcher = dispatcher
        self.counters = counters
        self.epoch = epoch
        self.inbox = inbox
        self.logger = logger
        self.sessions = SessionTable(methodCount: methods.indices.count)
    }

    /// Opens the socket, and adds the addresses that it really listens on; called on the thread that will `run`.
    static func listen(_ configuration: ServerConfiguration, endpoints: inout [String]) throws(ZeroMQError) -> Socket {
        let limits = configuration.limits
        let socket = try Socket(.router)
        try socket.set(.routerMandatory, 1)
        // Twice what can be under way to an honest client: the reading end of a pipe says what it took only every half
        // high-water mark, so that up to half of the places seem taken long after they are free.
        try socket.set(.sendHighWaterMark, Int32(clamping: 2 * (limits.maxInFlightPerSession + limits.controlFrameReserve)))
        try socket.set(.receiveHighWaterMark, Int32(clamping: limits.maxInFlightPerSession + limits.controlFrameReserve))
        // Above the limit on payloads, which is answered; this one ends the connection.
        try socket.setMaxMessageSize(Int64(limits.maxRequestBytes) * 2)
        for endpoint in configuration.listen {
            try bind(socket, to: endpoint)
            endpoints.append(try socket.lastEndpoint())
        }
        return socket
    }

    /// A server that has just stopped in this process may still be closing its listener, which libzmq does later: a taken
    /// address is tried again for a moment.
    private static func bind(_ socket: borrowing Socket, to endpoint: String) throws(ZeroMQError) {
        let giveUp = MonotonicTime.now.advanced(byMicroseconds: bindRetryMicroseconds)
        while true {
            do throws(ZeroMQError) {
                return try socket.bind(endpoint)
            } catch {
                guard error.isAddressInUse, MonotonicTime.now < giveUp else { throw error }
                var poller = Poller()
                try poller.wait(milliseconds: 5)
            }
        }
    }

    private static let bindRetryMicroseconds: UInt64 = 300_000

    // MARK: The loop

    /// Serves until `stopped`.
    mutating func run(_ socket: borrowing Socket) throws(ZeroMQError) {
        var poller = Poller()
        _ = poller.add(socket)
        _ = poller.add(fileDescriptor: inbox.fileDescriptor)
        let incoming = IncomingMessage()
        var spinUntil = now
        while state != .stopped {
            now = .now
            let received = try receiveBurst(socket, incoming)
            let sent = try sendAnswers(socket)
            try tick(socket)
            if received || sent {
                spinUntil = now.advanced(byMicroseconds: Self.spinMicroseconds)
            } else if state != .stopped, now >= spinUntil {
                try sleep(&poller)
            } else {
                // Whoever has work may have this core meanwhile: with none, it costs next to nothing.
                sched_yield()
            }
        }
    }

    private mutating func sleep(_ poller: inout Poller) throws(ZeroMQError) {
        if inbox.prepareToSleep() {
            try poller.wait(milliseconds: dispatcher.queuedCount > 0 ? 1 : millisecondsToNextTick)
        }
        inbox.didWake()
    }

    /// Wakes another worker where calls have waited for a while, though it looked as if the busy ones would soon take them.
    private mutating func nudgeWorkers() {
        if dispatcher.queuedCount == 0 {
            backlogSince = now
        } else if now.microseconds(since: backlogSince) >= Self.nudgeMicroseconds {
            dispatcher.nudge()
            backlogSince = now
        }
    }

    private static let nudgeMicroseconds: UInt64 = 1_000

    private var millisecondsToNextTick: Int {
        let heartbeat = Int(configuration.heartbeatInterval.wholeMicroseconds / 1000)
        var next = max(1, heartbeat)
        if let scan = inFlight.nextScan { next = min(next, Int(clamping: scan.microseconds(since: now) / 1000 + 1)) }
        if case .draining = state { next = min(next, Self.drainCheckMilliseconds) }
        return next
    }

    private mutating func receiveBurst(_ socket: borrowing Socket, _ incoming: IncomingMessage) throws(ZeroMQError) -> Bool {
        var count = 0
        while count < Self.burst, try incoming.receive(from: socket) {
            try accept(incoming, on: socket, at: now)
            count += 1
        }
        if !admitted.isEmpty {
            dispatcher.enqueue(admitted)
            admitted.removeAll(keepingCapacity: true)
        }
        return count > 0
    }

    private mutating func sendAnswers(_ socket: borrowing Socket) throws(ZeroMQError) -> Bool {
        if inbox.isEmpty { return false }
        try inbox.drain { (input) throws(ZeroMQError) in
            switch input {
            case .answer(let call): try sendAnswer(to: call, on: socket)
            case .drain: try beginToDrain(socket)
            }
        }
        return true
    }

    /// What happens by time, not by message.
    private mutating func tick(_ socket: borrowing Socket) throws(ZeroMQError) {
        nudgeWorkers()
        if let scan = inFlight.nextScan, now >= scan { try expire(socket) }
        if now.microseconds(since: lastSilenceCheck) >= configuration.heartbeatInterval.wholeMicroseconds {
            lastSilenceCheck = now
            forgetSilentSessions()
        }
        clearQueues()
        if case .draining(let since) = state, isDrained(since: since) { try endDraining(socket) }
    }

    private mutating func expire(_ socket: borrowing Socket) throws(ZeroMQError) {
        for call in inFlight.takeExpired(at: now) {
            abandon(call)
            let place = call.started == nil ? "queue" : "handler"
            let error = RPCError.deadlineExceeded(at: place, disposition: call.started == nil ? .notExecuted : .maybe)
            try respond(to: call, error, on: socket)
        }
    }

    /// Nobody waits for the call's answer any more.
    mutating func abandon(_ call: Call) {
        call.abandon()
        guard call.started == nil else { return }
        abandonedWaiting.calls += 1
        abandonedWaiting.bytes += call.payload.count
    }

    /// Takes abandoned calls out of the queues once they are many: half of all that wait, so that the look pays, or large.
    /// Else handlers that are held up would let calls pile up that nobody waits for, unbounded by what is in flight.
    private mutating func clearQueues() {
        let (calls, bytes) = abandonedWaiting
        guard calls >= Self.clearingCalls && calls * 2 >= dispatcher.queuedCount || bytes >= Self.clearingBytes else { return }
        dispatcher.removeAbandoned()
        abandonedWaiting = (0, 0)
    }

    private static let clearingCalls = 256
    private static let clearingBytes = 16 << 20

    /// When the oldest waiting call arrived. The look goes through all calls in flight, and a PING costs its sender nothing:
    /// so it is taken at most every `oldestInterval` microseconds.
    mutating func oldestArrival(at now: MonotonicTime) -> MonotonicTime? {
        if let knownOldest, now.microseconds(since: knownOldest.at) < Self.oldestInterval { return knownOldest.arrival }
        let arrival = inFlight.oldestArrival
        knownOldest = (arrival, now)
        return arrival
    }

    private static let oldestInterval: UInt64 = 100_000

    private mutating func forgetSilentSessions() {
        let limit = configuration.heartbeatInterval.wholeMicroseconds * 3
        for session in sessions.silent(for: limit, at: now) where session.calls.isEmpty { close(session.peer) }
    }

    /// Ends a session; what it had queued is dropped, and what runs is told.
    mutating func close(_ peer: PeerID) {
        guard let session = sessions.close(peer) else { return }
        for call in session.calls.values where inFlight.remove(call) {
            abandon(call)
            counters.dropped.add(.peerGone)
        }
        counters.inFlight.set(inFlight.count)
        counters.sessions.set(sessions.count)
    }

    // MARK: Draining

    private mutating func beginToDrain(_ socket: borrowing Socket) throws(ZeroMQError) {
        state = .draining(since: now)
        for session in sessions.all { _ = try send(FrameHeader(type: .drain), Frame(), to: session.peer, on: socket) }
    }

    /// Whether nothing can come any more: no call is in flight, and each client has said BYE, which it does once it knows of
    /// DRAIN and has all its answers. A client that does not is waited for a moment only: what it sends meanwhile is refused,
    /// what it sends afterwards would be lost in the closed socket.
    private func isDrained(since start: MonotonicTime) -> Bool {
        let waited = now.microseconds(since: start)
        if waited >= configuration.drainTimeout.wholeMicroseconds { return true }
        return inFlight.count == 0 && (sessions.count == 0 || waited >= Self.farewellMicroseconds)
    }

    /// How long a drained server waits for its clients' BYE.
    private static let farewellMicroseconds: UInt64 = 300_000
    private static let drainCheckMilliseconds = 20

    private mutating func endDraining(_ socket: borrowing Socket) throws(ZeroMQError) {
        for call in inFlight.takeAll() {
            abandon(call)
            let disposition: Disposition = call.started == nil ? .notExecuted : .maybe
            try respond(to: call, shuttingDown(disposition), on: socket)
        }
        for session in sessions.all { _ = try send(FrameHeader(type: .bye), Frame(), to: session.peer, on: socket) }
        state = .stopped
    }

    func shuttingDown(_ disposition: Disposition) -> RPCError {
        RPCError(
            .unavailable, reason: RefusalReason.shuttingDown.rawValue, "the server is shutting down; call another, or this one later",
            disposition: disposition, retryDelay: .milliseconds(500))
    }
}

/// What other threads send to the frontend.
enum FrontendInput: Sendable {
    /// A handler has answered this call.
    case answer(Call)
    /// Take nothing new, finish, and stop.
    case drain
}
