import DequeModule
import RPC
import ZeroMQ

/// The thread that owns all PUSH sockets.
final class EventLoop {
    private let endpoints: EventEndpoints
    private let epoch: UInt32
    private let commands: Mailbox<EventPublisher.Command>
    private let shared: SharedMembers
    private let authenticator: Authenticator
    private var members: [String: MemberChannel] = [:]
    private var isStopped = false
    /// The port to try first: taken in turn, so that a port comes back to another member as late as can be.
    private var nextPort: UInt16
    private var retryMilliseconds = EventLoop.firstRetryMilliseconds

    /// A pipe that was full, or a member that is not there yet, is tried again after this time, doubled up to the longest.
    private static let firstRetryMilliseconds = 2
    private static let longestRetryMilliseconds = 50
    /// Events in a member's pipe: what is lost when it dies, and has to be sent again.
    private static let highWaterMark: Int32 = 1000

    /// One member's socket and what waits for it.
    private final class MemberChannel {
        let socket: Socket
        /// Its ZAP domain: of its own, so that no other channel of this process, past or present, has a say in who comes in.
        let domain: String
        var waiting = Deque<(sequence: UInt64, payload: [UInt8])>()
        var previous: UInt64 = 0

        init(_ socket: consuming Socket, domain: String) {
            self.socket = socket
            self.domain = domain
        }
    }

    init(
        endpoints: EventEndpoints, epoch: UInt32, commands: Mailbox<EventPublisher.Command>, shared: SharedMembers,
        authenticator: Authenticator
    ) {
        self.endpoints = endpoints
        self.epoch = epoch
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
            guard commands.prepareToSleep() else { continue }
            do throws(ZeroMQError) {
                try poller.wait(milliseconds: isBlocked ? retryMilliseconds : nil)
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
            if case .open(_, _, let reply) = command { reply.answer(.failure(EventPublisher.closed)) }
        }
        shared.removeAll()
        for channel in members.values { authenticator.forget(domain: channel.domain) }
        members = [:]
    }

    private func obey(_ command: EventPublisher.Command) {
        switch command {
        case .open(let member, let token, let reply):
            reply.answer(open(member, token))
        case .publish(let member, let sequence, let payload):
            members[member]?.waiting.append((sequence, payload))
        case .close(let member):
            shared.remove(member)
            if let channel = members.removeValue(forKey: member) { authenticator.forget(domain: channel.domain) }
        case .stop:
            isStopped = true
        }
    }

    private func open(_ member: String, _ token: String) -> Result<String, RPCError> {
        let domain = "orderwire-events-\(UInt64.random(in: .min ... .max))"
        authenticator.allow(domain: domain, username: member, password: token)
        for _ in endpoints.ports {
            let port = nextPort
            nextPort = port == endpoints.ports.upperBound ? endpoints.ports.lowerBound : port + 1
            do throws(ZeroMQError) {
                let channel = MemberChannel(try listen(on: port, domain: domain), domain: domain)
                let former = members.updateValue(channel, forKey: member)
                if let former { authenticator.forget(domain: former.domain) }
                shared.add(member, dropped: former?.waiting.count ?? 0)
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
        try socket.set(.sendHighWaterMark, Self.highWaterMark)
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

    /// One event is one frame: a multipart message could be torn when a member goes.
    private func push(_ sequence: UInt64, _ payload: [UInt8], to member: MemberChannel) -> Bool {
        let frame = Frame(count: FrameHeader.size + payload.count)
        let bytes = frame.unsafeMutableBytes
        FrameHeader.event(sequence: sequence, previous: member.previous, epoch: epoch).write(to: bytes)
        UnsafeMutableRawBufferPointer(rebasing: bytes[FrameHeader.size...]).copyBytes(from: payload)
        do throws(ZeroMQError) {
            return try member.socket.send(frame, more: false) == .sent
        } catch {
            preconditionFailure("sending to a PUSH socket failed: \(error)")
        }
    }
}
