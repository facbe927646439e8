import Protobuf
import ProtoRuntime
import RPC
import ZeroMQ

/// What a connection does with what arrives.
extension Connection {
    mutating func receiveBurst(from socket: borrowing Socket) throws(ZeroMQError) {
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
    mutating func accept(_ payload: Frame) {
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

    mutating func end(_ header: FrameHeader, _ payload: Frame) {
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
    mutating func sendAgain(_ call: ClientCall) {
        if call.isCancelled { return call.end(.failure(cancelled)) }
        call.id = 0
        call.sendBy = min(call.deadline.time, now.advanced(by: configuration.connectTimeout))
        calls.wait(call)
    }

    mutating func openSession(_ payload: Frame) {
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

    mutating func acceptProtocolError(_ header: FrameHeader, _ payload: Frame) {
        let error = RPCError(header: header, payload: payload.unsafeBytes)
        if let call = calls.take(id: header.id) {
            call.end(.failure(error))
        } else if case .greeting = phase {
            failGreeting(error)
        }
    }

    /// The server does not want this client: the calls that wait learn why. Later ones try again.
    mutating func failGreeting(_ error: RPCError) {
        phase = .greeting(isSent: true)
        for call in calls.takeWaiting() { call.end(.failure(error)) }
    }
}
