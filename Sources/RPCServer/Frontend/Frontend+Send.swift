import RPC
import ZeroMQ

/// What the frontend sends. It never waits: to a peer that does not read, or is gone, nothing is sent, and that is counted.
extension Frontend {
    /// Sends what a handler said, unless the call was answered meanwhile.
    mutating func sendAnswer(to call: Call, on socket: borrowing Socket) throws(ZeroMQError) {
        guard let answer = call.answer else { preconditionFailure("a call was posted as answered, and was not") }
        if answer.status != .ok { dispatcher.statistics[call.method].failed.add() }
        guard inFlight.remove(call) else {
            counters.late.add()
            return
        }
        if let place = answer.expiryPlace { counters.expired.add(place) }
        guard answer.payload.count <= limits.maxResponseBytes else {
            return try respond(to: call, responseTooLarge(answer.payload.count), on: socket)
        }
        try respond(to: call, answer.status, answer.disposition, answer.payload, on: socket)
    }

    private func responseTooLarge(_ count: Int) -> RPCError {
        RPCError(
            .resourceExhausted, reason: "RESPONSE_TOO_LARGE",
            "the response has \(count) bytes, the limit is \(limits.maxResponseBytes); ask for less at once")
    }

    /// Answers a call that is no longer in the table with a failure of the frontend's own.
    mutating func respond(to call: Call, _ error: RPCError, on socket: borrowing Socket) throws(ZeroMQError) {
        try respond(to: call, error.code, error.disposition, Frame(copying: error.statusPayload()), on: socket)
    }

    mutating func respond(to call: Call, _ failure: PreparedFailure, on socket: borrowing Socket) throws(ZeroMQError) {
        try respond(to: call, failure.error.code, failure.error.disposition, failure.payload, on: socket)
    }

    private mutating func respond(
        to call: Call, _ status: StatusCode, _ disposition: Disposition, _ payload: Frame, on socket: borrowing Socket
    ) throws(ZeroMQError) {
        sessions[call.peer]?.remove(call)
        counters.inFlight.set(inFlight.count)
        let started = call.started ?? now
        let header = FrameHeader.response(
            callID: call.id, epoch: epoch, queued: UInt32(clamping: started.microseconds(since: call.arrival)),
            served: UInt32(clamping: now.microseconds(since: started)), status: status, disposition: disposition)
        let timings = call.stages?.timings(arrival: call.arrival, started: call.started, now: now)
        switch try send(header, payload, extensions: timings.map { HeaderExtension(timings: $0) }, to: call.peer, on: socket) {
        case .sent: counters.answered.add()
        case .wouldBlock: counters.dropped.add(.peerFull)
        case .unreachable:
            counters.dropped.add(.peerGone)
            close(call.peer)
        }
    }

    /// Answers a request that was not admitted.
    mutating func refuse(
        _ request: FrameHeader, _ reason: RefusalReason, _ error: RPCError, _ peer: PeerID, on socket: borrowing Socket
    ) throws(ZeroMQError) {
        try refuse(request, reason, PreparedFailure(error), peer, on: socket)
    }

    mutating func refuse(
        _ request: FrameHeader, _ reason: RefusalReason, _ failure: PreparedFailure, _ peer: PeerID, on socket: borrowing Socket
    ) throws(ZeroMQError) {
        if sessions[peer]?.calls[request.id] != nil { return try refuseDuplicate(request.id, peer, on: socket) }
        counters.refused.add(reason)
        if reason == .expiredOnArrival { counters.expired.add(.arrival) }
        let header = FrameHeader.response(
            callID: request.id, epoch: epoch, queued: 0, served: 0, status: failure.error.code,
            disposition: failure.error.disposition)
        _ = try send(header, failure.payload, to: peer, on: socket)
    }

    /// Refuses a request with the id of a call in flight, for which a RESPONSE would be taken.
    func refuseDuplicate(_ callID: UInt64, _ peer: PeerID, on socket: borrowing Socket) throws(ZeroMQError) {
        counters.refused.add(.duplicateCallID)
        try sendProtocolError(reason: .duplicateCallID, "a call with this id is in flight", callID: callID, to: peer, on: socket)
    }

    /// Says that a message broke the protocol; `callID` is 0 where it is not known.
    func sendProtocolError(
        reason: RefusalReason, _ text: String, callID: UInt64, to peer: PeerID, on socket: borrowing Socket
    ) throws(ZeroMQError) {
        let error = RPCError(.invalidArgument, reason: reason.rawValue, text, disposition: .notExecuted)
        try send(protocolError: error, callID: callID, to: peer, on: socket)
    }

    func send(protocolError error: RPCError, callID: UInt64, to peer: PeerID, on socket: borrowing Socket) throws(ZeroMQError) {
        var header = FrameHeader(type: .protocolError)
        header.id = callID
        header.word28 = UInt32(error.code.rawValue) | UInt32(error.disposition.rawValue) << 8
        _ = try send(header, Frame(copying: error.statusPayload()), to: peer, on: socket)
    }

    /// Sends one message without waiting. MANDATORY tells of a peer that is gone or full on the first frame, before
    /// anything was taken.
    func send(
        _ header: FrameHeader, _ payload: Frame, extensions: HeaderExtension? = nil, to peer: PeerID, on socket: borrowing Socket
    ) throws(ZeroMQError) -> Socket.SendOutcome {
        let outcome = try peer.withFrame { (frame) throws(ZeroMQError) in try socket.send(copying: frame, more: true) }
        guard outcome == .sent else { return outcome }
        var header = header
        let tlvs = extensions?.encoded() ?? []
        header.extensionLength = UInt16(clamping: tlvs.count)
        _ = try withUnsafeTemporaryAllocation(byteCount: FrameHeader.size + tlvs.count, alignment: 8) { (bytes) throws(ZeroMQError) in
            header.write(to: bytes)
            UnsafeMutableRawBufferPointer(rebasing: bytes[FrameHeader.size...]).copyBytes(from: tlvs)
            return try socket.send(copying: UnsafeRawBufferPointer(bytes), more: true)
        }
        return try socket.send(payload, more: false)
    }
}
