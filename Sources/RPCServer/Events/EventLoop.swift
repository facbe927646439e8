import DequeModule
import RPC
import ZeroMQ

/// The thread that owns all PUSH sockets.
final class EventLoop {
    private let endpoints: EventEndpoints
    private let epoch: UInt32
    private let heartbeatInterval: Duration
    private let commands: Mailbox<EventPublisher.Command>
    private let shared: SharedMembers
    private let authenticator: Authenticator
    private var members: [String: MemberChannel] = [:]
    private var isStopped = false
    /// The port to try first: taken in turn, so that a port comes back to another member as late as can be.
    private var nextPort: UInt16
    private var retryMilliseconds = EventLoop.firstRetryMilliseconds
    /// When it is time to look after members again.
    private var nextLook = MonotonicTime.now

    /// A pipe that was full, or a member that is not there yet, is tried again after this time, doubled up to the longest.
    private static let firstRetryMilliseconds = 2
    private static let longestRetryMilliseconds = 50
    /// Between two looks at who is connected: what it takes to find that a member has died. Shorter while one is expected, who waits
    /// to be sent something.
    private static let lookInterval = Duration.milliseconds(100)
    private static let expectantLookInterval = Duration.milliseconds(10)

    /// One member's socket and what waits for it.
    private final class MemberChannel {
        let socket: Socket
        /// Its ZAP domain: of its own, so that no other channel of this process, past or present, has a say in who comes in.
        let domain: String
        var waiting = Deque<(sequence: UInt64, payload: [UInt8])>()
        var previous: UInt64 = 0
        var isConnected = false
        var lastSent = MonotonicTime.now
        let onConnection: EventPublisher.ConnectionHandler

        init(_ socket: consuming Socket, domain: String, onConnection: @escaping EventPublisher.ConnectionHandler) {
            self.socket = socket
            self.domain = domain
            self.onConnection = onConnection
        }
    }

    init(
        endpoints: EventEndpoints, epoch: UInt32, heartbeatInterval: Duration, commands: Mailbox<EventPublisher.Command>,
        shared: SharedMembers, authenticator: Authenticator
    ) {
        self.endpoints = endpoints
        self.epoch = epoch
        self.heartbeatInterval = heartbeatInterval
        self.commands = commands
        self.shared = shared
        self.authenticator = authenticator
        nextPort = endpoints.ports.lowerBound
    }

    func run() {
        var poller = Poller()
        _ = poller.add(fileDescriptor: commands.fileDescriptor)
        while true {
            if !commands.isEmpty { retryMilliseconds = Self.firstRetryMilliseconds }
            commands.drain(obey)
            if isStopped { return stop() }
            let isBlocked = !sendWaiting()
            lookAfterMembers()
            guard commands.prepareToSleep() else { continue }
            do throws(ZeroMQError) {
                try poller.wait(milliseconds: sleepMilliseconds(isBlocked))
            } catch {
                preconditionFailure("waiting on an eventfd failed: \(error)")
            }
            commands.didWake()
            if isBlocked { retryMilliseconds = min(retryMilliseconds * 2, Self.longestRetryMilliseconds) }
        }
    }

    /// Nobody may wait for an answer that does not come.
    private func stop() {
        commands.close { command in
            if case .open(_, _, _, let reply) = command { reply.answer(.failure(EventPublisher.closed)) }
        }
        shared.removeAll()
        for channel in members.values { authenticator.forget(domain: channel.domain) }
        members = [:]
    }

    private func obey(_ command: EventPublisher.Command) {
        switch command {
        case .open(let member, let token, let onConnection, let reply):
            reply.answer(open(member, token, onConnection))
        case .publish(let member, let sequence, let payload):
            members[member]?.waiting.append((sequence, payload))
        case .close(let member):
            shared.remove(member)
            if let channel = members.removeValue(forKey: member) { authenticator.forget(domain: channel.domain) }
        case .stop:
            isStopped = true
        }
    }

    private func open(
        _ member: String, _ token: String, _ onConnection: @escaping EventPublisher.ConnectionHandler
    ) -> Result<String, RPCError> {
        let domain = "orderwire-events-\(UInt64.random(in: .min ... .max))"
        authenticator.allow(domain: domain, username: member, password: token)
        for _ in endpoints.ports {
            let port = nextPort
            nextPort = port == endpoints.ports.upperBound ? endpoints.ports.lowerBound : port + 1
            do throws(ZeroMQError) {
                let channel = MemberChannel(try listen(on: port, domain: domain), domain: domain, onConnection: onConnection)
                let former = members.updateValue(channel, forKey: member)
                if let former { authenticator.forget(domain: former.domain) }
                shared.add(member, dropped: former?.waiting.count ?? 0)
                nextLook = .now
                return .success("tcp://\(endpoints.advertisedHost ?? endpoints.host):\(port)")
            } catch {
                if !error.isAddressInUse {
                    authenticator.forget(domain: domain)
                    return .failure(RPCError(.internalError, reason: "EVENT_CHANNEL_FAILED", "\(error)", disposition: .notExecuted))
                }
            }
        }
        authenticator.forget(domain: domain)
        return .failure(RPCError(
            .resourceExhausted, reason: "EVENT_PORTS_TAKEN",
            "all ports from \(endpoints.ports.lowerBound) to \(endpoints.ports.upperBound) are taken; close other subscriptions or configure more",
            disposition: .notExecuted, retryDelay: .seconds(1)))
    }

    private func listen(on port: UInt16, domain: String) throws(ZeroMQError) -> Socket {
        let socket = try Socket(.push)
        try socket.set(.plainServer, 1)
        try socket.set(.zapDomain, domain)
        // Without it an empty answer of a handler would let everybody in.
        try socket.set(.zapEnforceDomain, 1)
        try socket.set(.sendHighWaterMark, Int32(EventPublisher.highWaterMark))
        try socket.bind("tcp://\(endpoints.host):\(port)")
        return socket
    }

    /// Sends what can leave; false where something has to wait.
    private func sendWaiting() -> Bool {
        var isAllSent = true
        for (name, member) in members where !member.waiting.isEmpty {
            var count = 0
            while let (sequence, payload) = member.waiting.first, push(sequence, payload, to: member) {
                member.previous = sequence
                member.waiting.removeFirst()
                count += 1
            }
            if count > 0 { shared.didSend(count, to: name) }
            if !member.waiting.isEmpty { isAllSent = false }
        }
        return isAllSent
    }

    private func sleepMilliseconds(_ isBlocked: Bool) -> Int? {
        if members.isEmpty { return nil }
        // Rounded up, so that a sleep never ends just before its time and becomes a spin.
        let untilLook = Int(nextLook.microseconds(since: .now) / 1000) + 1
        return isBlocked ? min(retryMilliseconds, untilLook) : untilLook
    }

    /// Finds out who has come or gone, and tells who is sent nothing that nothing is missing.
    private func lookAfterMembers() {
        let now = MonotonicTime.now
        guard nextLook <= now else { return }
        var isOneExpected = false
        for member in members.values {
            let isConnected = isWritable(member)
            if isConnected != member.isConnected {
                member.isConnected = isConnected
                member.onConnection(isConnected)
            }
            if !isConnected {
                isOneExpected = true
            } else if member.waiting.isEmpty, member.lastSent.advanced(by: heartbeatInterval) <= now {
                send(.eventHeartbeat(last: member.previous, epoch: epoch), [], to: member)
            }
        }
        nextLook = now.advanced(by: isOneExpected ? Self.expectantLookInterval : Self.lookInterval)
    }

    private func isWritable(_ member: MemberChannel) -> Bool {
        do throws(ZeroMQError) {
            return try member.socket.isWritable()
        } catch {
            preconditionFailure("reading an option of a socket failed: \(error)")
        }
    }

    private func push(_ sequence: UInt64, _ payload: [UInt8], to member: MemberChannel) -> Bool {
        send(.event(sequence: sequence, previous: member.previous, epoch: epoch), payload, to: member)
    }

    /// One event is one frame: a multipart message could be torn when a member goes.
    @discardableResult
    private func send(_ header: FrameHeader, _ payload: [UInt8], to member: MemberChannel) -> Bool {
        let frame = Frame(count: FrameHeader.size + payload.count)
        let bytes = frame.unsafeMutableBytes
        header.write(to: bytes)
        UnsafeMutableRawBufferPointer(rebasing: bytes[FrameHeader.size...]).copyBytes(from: payload)
        member.lastSent = .now
        do throws(ZeroMQError) {
            return try member.socket.send(frame, more: false) == .sent
        } catch {
            preconditionFailure("sending to a PUSH socket failed: \(error)")
        }
    }
}
