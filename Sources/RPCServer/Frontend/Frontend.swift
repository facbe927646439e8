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
    private let wakeful = WakefulProcessors()

    var sessions: SessionTable
    var inFlight = InFlightTable()
    /// Calls of the current burst, queued together when it ends.
    var admitted: [Dispatcher.Arrival] = []
    /// By method, how many those are, and their bytes.
    var admittedOfMethod: [(calls: Int, bytes: Int)]
    let admission: Admission
    var state = State.serving
    var now = MonotonicTime.now
    var lastSilenceCheck = MonotonicTime.now
    /// Since when calls have waited without a break, or when a worker was last nudged for them.
    var backlogSince = MonotonicTime.now
    /// When a call was last refused for lack of room or time.
    var lastRefusal = MonotonicTime(nanoseconds: 0)
    /// When several calls were last in flight.
    private var lastCompany = MonotonicTime(nanoseconds: 0)
    /// When a full table of sessions was last searched for connections that are gone.
    var lastReachabilityCheck = MonotonicTime(nanoseconds: 0)
    /// Calls, and bytes of their payloads, that were abandoned while they waited, since the queues were last cleared of them.
    var abandonedWaiting = (calls: 0, bytes: 0)
    /// What `oldestArrival` found, and when.
    var knownOldest: (arrival: MonotonicTime?, at: MonotonicTime)?

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
    /// The same with many calls in flight: whoever is to bring the next message needs the core more than this thread.
    private static let busySpinMicroseconds: UInt64 = 5
    /// How long processors are kept awake for a lone call, from its last message or answer on: longer than such a call takes on a quick
    /// disk; on a slow one it bounds what is given away.
    private static let loneMicroseconds: UInt64 = 2_000
    /// So long after several calls were in flight, the next one is not taken for a lone one.
    private static let companyMicroseconds: UInt64 = 10_000
    /// So many calls in flight are many. With fewer, this thread gives its core away each time that it finds nothing, which is what
    /// a lone call waits for; with more, that is a switch of threads for each few calls.
    private static let fewInFlight = 16

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
        self.admittedOfMethod = Array(repeating: (0, 0), count: methods.indices.count)
        self.admission = Admission(limits: configuration.limits, workers: configuration.workers)
    }

    /// Opens the socket, and adds the addresses that it really listens on; called on the thread that will `run`.
    static func listen(_ configuration: ServerConfiguration, endpoints: inout [String]) throws(ZeroMQError) -> Socket {
        let limits = configuration.limits
        let socket = try Socket(.router)
        try socket.set(.routerMandatory, 1)
        try socket.set(.sendHighWaterMark, Int32(clamping: limits.neededSendHighWaterMark))
        // Else an honest client's answers could be dropped.
        let mark = try socket.sendHighWaterMark()
        precondition(mark >= limits.neededSendHighWaterMark, "the socket cannot hold the answers of a session")
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
        defer { wakeful.stop() }
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
            if received < Self.burst, let nap {
                usleep(nap)
            } else if received > 0 || sent {
                spinUntil = now.advanced(byMicroseconds: isBusy ? Self.busySpinMicroseconds : Self.spinMicroseconds)
                keepAwake()
            } else if state != .stopped, now >= spinUntil {
                try sleep(&poller)
            } else if !isBusy {
                sched_yield()
            }
        }
    }

    /// Where calls come one by one, their processors are kept awake. With company each wakes up what the others need.
    private mutating func keepAwake() {
        if inFlight.count > 1 {
            lastCompany = now
        } else if inFlight.count == 1, now.microseconds(since: lastCompany) > Self.companyMicroseconds {
            wakeful.keepAwake(until: now.advanced(byMicroseconds: Self.loneMicroseconds))
        }
    }

    private var isBusy: Bool { inFlight.count > Self.fewInFlight }

    private var nap: UInt32? {
        guard state == .serving else { return nil }
        return Nap.microseconds(backlog: dispatcher.backlogMicroseconds, sinceRefusal: now.microseconds(since: lastRefusal))
    }

    private mutating func sleep(_ poller: inout Poller) throws(ZeroMQError) {
        if inbox.prepareToSleep() {
            try poller.wait(milliseconds: dispatcher.queuedCount > 0 ? 1 : millisecondsToNextTick)
        }
        inbox.didWake()
    }

    private var millisecondsToNextTick: Int {
        let silenceCheck = lastSilenceCheck.advanced(by: configuration.heartbeatInterval)
        var next = Int(clamping: silenceCheck.microseconds(since: now) / 1000 + 1)
        if let scan = inFlight.nextScan { next = min(next, Int(clamping: scan.microseconds(since: now) / 1000 + 1)) }
        if case .draining = state { next = min(next, Self.drainCheckMilliseconds) }
        return next
    }

    /// Returns how many messages there were.
    private mutating func receiveBurst(_ socket: borrowing Socket, _ incoming: IncomingMessage) throws(ZeroMQError) -> Int {
        var count = 0
        while count < Self.burst, try incoming.receive(from: socket) {
            try accept(incoming, on: socket, at: now)
            count += 1
        }
        if !admitted.isEmpty { handOver() }
        return count
    }

    private mutating func handOver() {
        for (call, lane) in admitted {
            lane.admitted = 0
            admittedOfMethod[call.method] = (0, 0)
        }
        dispatcher.enqueue(admitted)
        admitted.removeAll(keepingCapacity: true)
    }

    private mutating func sendAnswers(_ socket: borrowing Socket) throws(ZeroMQError) -> Bool {
        if inbox.isEmpty { return false }
        // Once for all of them: reading the clock costs as much as a good part of an answer.
        now = .now
        try inbox.drain { (input) throws(ZeroMQError) in
            switch input {
            case .answer(let call): try sendAnswer(to: call, on: socket)
            case .drain: try beginToDrain(socket)
            }
        }
        return true
    }
}

/// What other threads send to the frontend.
enum FrontendInput: Sendable {
    /// A handler has answered this call.
    case answer(Call)
    /// Take nothing new, finish, and stop.
    case drain
}
