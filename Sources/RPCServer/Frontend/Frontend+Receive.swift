import Protobuf
internal import ProtoRuntime
import RPC
import ZeroMQ

/// What the frontend does with a message.
extension Frontend {
    mutating func accept(_ incoming: IncomingMessage, on socket: borrowing Socket, at now: MonotonicTime) throws(ZeroMQError) {
        guard incoming.frameCount == 2, let peer = incoming.peer else { return dropForeign() }
        let header: FrameHeader
        do throws(FrameHeader.Defect) {
            header = try FrameHeader(incoming.header)
            guard incoming.header.count == FrameHeader.size + Int(header.extensionLength) else {
                throw .badExtensionLength(header.extensionLength)
            }
        } catch {
            guard error.isAnswerable else { return dropForeign() }
            counters.received.add()
            counters.refused.add(.malformedHeader)
            return try sendProtocolError(reason: .malformedHeader, "\(error)", callID: 0, to: peer, on: socket)
        }
        let session = sessions[peer]
        session?.lastHeard = now
        switch header.type {
        case .request:
            counters.received.add()
            try acceptRequest(header, incoming, session, peer, on: socket, at: now)
        case .hello:
            try acceptHello(incoming, peer, on: socket, at: now)
        case .cancel:
            if let call = session?.calls[header.id] { try cancel(call, on: socket) }
        case .ping:
            try sendPong(id: header.id, to: peer, on: socket, at: now)
        case .bye:
            close(peer)
        default:
            // A type that only servers send: nothing that a client could wait for.
            counters.received.add()
            counters.dropped.add(.foreignMessage)
        }
    }

    private func dropForeign() {
        counters.received.add()
        counters.dropped.add(.foreignMessage)
    }

    // MARK: Calls

    private mutating func acceptRequest(
        _ header: FrameHeader, _ incoming: IncomingMessage, _ session: Session?, _ peer: PeerID,
        on socket: borrowing Socket, at now: MonotonicTime
    ) throws(ZeroMQError) {
        guard let session else {
            return try refuse(header, .sessionUnknown, sessionUnknown, peer, on: socket)
        }
        if header.id == 0 {
            counters.refused.add(.malformedHeader)
            return try sendProtocolError(reason: .malformedHeader, "0 is no call's id", callID: 0, to: peer, on: socket)
        }
        // The estimator has to see every request, also one that is refused.
        let age = session.age.age(sentAt: header.sentAt, arrival: now.microseconds)
        if state != .serving { return try refuse(header, .shuttingDown, shuttingDown(.notExecuted), peer, on: socket) }
        guard let method = methods.index(of: header.method) else {
            return try refuse(header, .methodNotFound, methodNotFound(header.method), peer, on: socket)
        }
        let extensions: HeaderExtension
        do throws(HeaderExtension.Defect) {
            extensions = header.extensionLength == 0
                ? .empty : try HeaderExtension(UnsafeRawBufferPointer(rebasing: incoming.header[FrameHeader.size...]))
        } catch {
            counters.refused.add(.malformedHeader)
            return try sendProtocolError(reason: .malformedHeader, "\(error)", callID: header.id, to: peer, on: socket)
        }
        if !extensions.metadata.isEmpty, let error = metadataFailure(extensions) { return try refuse(header, .metadataTooLarge, error, peer, on: socket) }
        let deadline = self.deadline(budget: header.budget, age: age, at: now)
        guard deadline.time > now else {
            return try refuse(header, .expiredOnArrival, PreparedFailure.expired.onArrival, peer, on: socket)
        }
        if let (reason, failure) = refusal(
            of: method, payload: incoming.payload, session: session, deadline: deadline, at: now) {
            lastRefusal = now
            return try refuse(header, reason, failure, peer, on: socket)
        }
        let call = Call(
            header: header, extensions: extensions, peer: peer, identity: session.identity, method: method,
            payload: incoming.payload, arrival: now, deadline: deadline, stages: stages(asked: header),
            interception: interception(of: method), frontend: inbox)
        guard session.insert(call) else { return try refuseDuplicate(header.id, peer, on: socket) }
        inFlight.insert(call)
        counters.inFlight.set(inFlight.count)
        let lane = session.lanes.lane(for: method)
        lane.admitted += 1
        admittedOfMethod[method].calls += 1
        admittedOfMethod[method].bytes += call.payload.count
        admitted.append((call, lane))
    }

    private func interception(of method: Int) -> Interception? {
        let interceptors = configuration.interceptors
        return interceptors.isEmpty ? nil : Interception(interceptors, method: methods[method].fullName)
    }

    private func stages(asked header: FrameHeader) -> CallStages? {
        header.flags & FrameHeader.wantsTimings == 0 ? nil : CallStages(databaseTime: configuration.databaseTime)
    }

    private func deadline(budget: UInt32, age: UInt64, at now: MonotonicTime) -> Deadline {
        let asked = budget == 0 ? limits.defaultBudget.wholeMicroseconds : UInt64(budget)
        let granted = min(asked, limits.maxBudget.wholeMicroseconds)
        return Deadline(granted > age ? now.advanced(byMicroseconds: granted - age) : now)
    }

    private mutating func cancel(_ call: Call, on socket: borrowing Socket) throws(ZeroMQError) {
        guard inFlight.remove(call) else { return }
        let isWaiting = call.giveUp()
        let error = RPCError(
            .cancelled, reason: "CANCELLED", isWaiting ? "cancelled before it began" : "cancelled while it ran",
            disposition: isWaiting ? .notExecuted : .maybe)
        abandon(call, error, whileWaiting: isWaiting)
        try respond(to: call, error, on: socket)
    }

    private var sessionUnknown: RPCError {
        RPCError(
            .unavailable, reason: RefusalReason.sessionUnknown.rawValue,
            "this connection has no session; say HELLO and send the call again", disposition: .notExecuted,
            retryDelay: .zero)
    }

    private func methodNotFound(_ id: UInt32) -> RPCError {
        RPCError(
            .unimplemented, reason: RefusalReason.methodNotFound.rawValue,
            "the server has no method 0x\(String(id, radix: 16))", disposition: .notExecuted)
    }
}
