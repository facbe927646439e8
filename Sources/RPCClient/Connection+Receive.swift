import Protobuf
import ProtoRuntime
import RPC
import ZeroMQ

/// What a connection does with what arrives.
extension Connection {
    /// Returns whether more may wait.
    mutating func receiveBurst(from socket: borrowing Socket) throws(ZeroMQError) -> Bool {
        for _ in 0..<Self.burst {
            var outcome = try socket.receive(into: header)
            if outcome == .wouldBlock { return false }
            let payload = Frame()
            var frames = 1
            while outcome == .more {
                outcome = try socket.receive(into: payload)
                frames += 1
            }
            liveness.heard()
            if frames == 2 { accept(payload) }
        }
        return true
    }

    /// A message that cannot be read is skipped: its call, if it was for one, ends by its deadline.
    mutating func accept(_ payload: Frame) {
        let bytes = self.header.unsafeBytes
        let header: FrameHeader
        do throws(FrameHeader.Defect) {
            header = try FrameHeader(bytes)
        } catch {
            return
        }
        guard bytes.count == FrameHeader.size + Int(header.extensionLength) else { return }
        switch header.type {
        case .response: end(header, payload)
        case .helloAck: openSession(payload)
        case .pong: acceptPong(payload)
        case .drain: drain()
        case .bye:
            phase = .connecting
            endInFlight("the server at \(endpoint) ended the session")
        case .protocolError: acceptProtocolError(header, payload)
        default: break
        }
    }

    /// The server takes no new calls.
    mutating func drain() {
        if case .ready(let terms) = phase { phase = .draining(terms) }
    }

    mutating func end(_ header: FrameHeader, _ payload: Frame) {
        guard let call = calls.take(id: header.id) else { return }
        if call.request.wantsTimings { call.answeredAt = .now }
        let defect = header.extensionLength > 0 ? readExtensions(for: call) : nil
        // What they say may change what the payload means. A failure is told by the header already.
        if let defect, header.status == .ok {
            return call.end(.failure(.final(RPCError(
                .internalError, reason: "MALFORMED_RESPONSE", "the response's extensions cannot be read: \(defect)"))))
        }
        guard header.status != .ok else {
            if !budget.isFull { budget.succeed() }
            return call.end(.success(payload))
        }
        call.end(.failure(failure(RPCError(header: header, payload: payload.unsafeBytes))))
    }

    /// Reads what stands between a response's header and its payload; returns why it cannot be read. What is unknown and
    /// need not be understood is skipped.
    private func readExtensions(for call: CallAttempt) -> HeaderExtension.Defect? {
        do throws(HeaderExtension.Defect) {
            call.stageTimings = try HeaderExtension(UnsafeRawBufferPointer(rebasing: header.unsafeBytes[FrameHeader.size...])).timings
            return nil
        } catch {
            return error
        }
    }

    /// What a server's failure means for the session, and for the call.
    private mutating func failure(_ error: RPCError) -> AttemptFailure {
        if error.disposition == .notExecuted, error.reason == "SESSION_UNKNOWN" {
            if case .ready = phase { phase = .greeting(.due) }
            return .turnedAway(error)
        }
        if error.disposition == .notExecuted, error.reason == "SHUTTING_DOWN" {
            // DRAIN may have been lost to a full pipe; without it the call would go there again and again.
            drain()
            return .turnedAway(error)
        }
        // RESOURCE_EXHAUSTED without a time to wait is not tried again, and says nothing of how the server is.
        if error.code == .unavailable || error.code == .resourceExhausted && error.retryDelay != nil {
            budget.fail()
            if error.disposition == .notExecuted, let delay = error.retryDelay, !others.isEmpty {
                subchannel.tell(restsUntil: now.advanced(by: min(delay, Self.longestRest)))
            }
        }
        return .served(error)
    }

    private mutating func acceptPong(_ payload: Frame) {
        do throws(DecodingError) {
            let pong = try Runtime.Pong(serializedBytes: payload.unsafeBytes)
            if pong.draining { drain() }
            // Of those that wait there, ours are known better here.
            if !others.isEmpty { subchannel.tell(reported: max(0, Int(pong.queueDepth) - calls.inFlightCount)) }
        } catch {
            // A sign of life all the same.
        }
    }

    mutating func openSession(_ payload: Frame) {
        guard case .greeting = phase else { return }
        do throws(DecodingError) {
            let ack = try Runtime.HelloAck(serializedBytes: payload.unsafeBytes)
            guard ack.version == Int32(FrameHeader.version) else {
                return refuse(RPCError(
                    .internalError, reason: "MALFORMED_RESPONSE",
                    "the server's HELLO_ACK is for version \(ack.version), and this client said HELLO for \(FrameHeader.version)",
                    disposition: .notExecuted))
            }
            phase = .ready(SessionTerms(
                maxInFlight: min(PendingCalls.maxInFlight, max(1, Int(ack.limits?.maxInFlight ?? 1))),
                maxRequestBytes: Int(ack.limits?.maxRequestBytes ?? 0)))
            liveness = Liveness(
                heartbeat: UInt64(max(1, ack.heartbeatIntervalMs)) * 1000, silenceLimit: configuration.silenceLimit.wholeMicroseconds,
                now: now)
        } catch {
            refuse(RPCError(
                .internalError, reason: "MALFORMED_RESPONSE", "the server's HELLO_ACK cannot be read: \(error.reason)",
                disposition: .notExecuted))
        }
    }

    mutating func acceptProtocolError(_ header: FrameHeader, _ payload: Frame) {
        let error = RPCError(header: header, payload: payload.unsafeBytes)
        if let call = calls.take(id: header.id) {
            call.end(.failure(.served(error)))
        } else if case .greeting = phase {
            refuse(error)
        }
    }

    /// The server does not want this client. The calls that wait go to another server if there is one that may be ready sooner or
    /// later; else they learn why.
    mutating func refuse(_ error: RPCError) {
        phase = .greeting(.refused)
        if others.contains(where: { !$0.isRefusing }) { handOver() }
        for call in calls.takeWaiting() { call.end(.failure(.served(error))) }
    }
}
