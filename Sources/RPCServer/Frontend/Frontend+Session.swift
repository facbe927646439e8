import Protobuf
internal import ProtoRuntime
import RPC
import ZeroMQ

/// HELLO and PING.
extension Frontend {
    mutating func acceptHello(
        _ incoming: IncomingMessage, _ peer: PeerID, on socket: borrowing Socket, at now: MonotonicTime
    ) throws(ZeroMQError) {
        // A HELLO on a connection that has a session starts over.
        close(peer)
        let identity: Identity
        do throws(RPCError) {
            identity = try identify(try decodeHello(incoming.payload))
        } catch {
            return try send(protocolError: error, callID: 0, to: peer, on: socket)
        }
        if tooManySessions(of: identity) != nil { try closeUnreachable(on: socket, at: now) }
        if let error = tooManySessions(of: identity) { return try send(protocolError: error, callID: 0, to: peer, on: socket) }
        let session = sessions.open(peer: peer, id: .random(in: 1 ... .max), identity: identity, now: now)
        counters.sessions.set(sessions.count)
        let ack = Runtime.HelloAck(
            version: Int32(FrameHeader.version), sessionId: session.id, serverEpoch: epoch, identity: identity.name,
            features: [], limits: sessionLimits,
            heartbeatIntervalMs: Int32(clamping: configuration.heartbeatInterval.wholeMicroseconds / 1000))
        try sendMessage(.helloAck, ack, to: peer, on: socket)
        if state != .serving { _ = try send(FrameHeader(type: .drain), Frame(), to: peer, on: socket) }
    }

    /// Ends the sessions whose connection is gone, which only shows when something is sent there: without it, a peer that
    /// connects again and again would keep everybody out until its sessions were silent for long enough.
    private mutating func closeUnreachable(on socket: borrowing Socket, at now: MonotonicTime) throws(ZeroMQError) {
        guard now.microseconds(since: lastReachabilityCheck) >= Self.reachabilityInterval else { return }
        lastReachabilityCheck = now
        for session in sessions.all {
            // A PONG that nobody asked for says nothing.
            let outcome = try send(FrameHeader(type: .pong), Frame(), to: session.peer, on: socket)
            if outcome == .unreachable { close(session.peer) }
        }
    }

    /// The check sends to each session: with 10,000 of them it takes some milliseconds.
    private static let reachabilityInterval: UInt64 = 250_000

    private func decodeHello(_ payload: Frame) throws(RPCError) -> Runtime.Hello {
        do throws(DecodingError) {
            return try Runtime.Hello(serializedBytes: payload.unsafeBytes)
        } catch {
            throw RPCError(
                .invalidArgument, reason: "MALFORMED_REQUEST", "HELLO: \(error.field): \(error.reason)", disposition: .notExecuted)
        }
    }

    private func identify(_ hello: Runtime.Hello) throws(RPCError) -> Identity {
        let version = Int32(FrameHeader.version)
        guard hello.minVersion <= version, hello.maxVersion >= version else {
            throw RPCError(
                .unimplemented, reason: "VERSION_UNSUPPORTED",
                "the client speaks versions \(hello.minVersion) to \(hello.maxVersion), the server \(version) only",
                disposition: .notExecuted)
        }
        guard let identity = Identity(hello.clientName) else {
            throw .invalidFields([.init(field: "client_name", description: "must match \(Identity.grammar)")])
        }
        return identity
    }

    private func tooManySessions(of identity: Identity) -> RPCError? {
        let who = if sessions.count >= limits.maxSessions {
            "the server has \(limits.maxSessions)"
        } else if sessions.count(of: identity) >= limits.maxSessionsPerClient {
            "this client has \(limits.maxSessionsPerClient)"
        } else {
            ""
        }
        if who.isEmpty { return nil }
        return RPCError(
            .resourceExhausted, reason: "TOO_MANY_SESSIONS", "\(who) sessions already; close those that are not used",
            disposition: .notExecuted, retryDelay: .seconds(1))
    }

    private var sessionLimits: Runtime.SessionLimits {
        Runtime.SessionLimits(
            maxInFlight: Int32(clamping: limits.maxInFlightPerSession), maxRequestBytes: Int32(clamping: limits.maxRequestBytes),
            maxResponseBytes: Int32(clamping: limits.maxResponseBytes), maxMetadataCount: Int32(clamping: limits.maxMetadataPairs),
            maxMetadataBytes: Int32(clamping: limits.maxMetadataBytes))
    }

    mutating func sendPong(id: UInt64, to peer: PeerID, on socket: borrowing Socket, at now: MonotonicTime) throws(ZeroMQError) {
        let pong = Runtime.Pong(
            queueDepth: Int32(clamping: dispatcher.queuedCount),
            oldestAgeUs: Int64(clamping: oldestArrival(at: now).map { now.microseconds(since: $0) } ?? 0),
            draining: state != .serving)
        try sendMessage(.pong, pong, id: id, to: peer, on: socket)
    }

    private func sendMessage(
        _ type: FrameType, _ message: some Message, id: UInt64 = 0, to peer: PeerID, on socket: borrowing Socket
    ) throws(ZeroMQError) {
        var header = FrameHeader(type: type)
        header.id = id
        let payload: [UInt8]
        do throws(EncodingError) {
            payload = try message.serializedBytes()
        } catch {
            preconditionFailure("the runtime's own message cannot be encoded: \(error)")
        }
        _ = try send(header, Frame(copying: payload), to: peer, on: socket)
    }
}
