import RPC
import ZeroMQ

/// What happens to a connection by time, not by message.
extension Connection {
    mutating func expire() {
        let expired = calls.takeExpired(at: now)
        for call in expired.inFlight {
            call.end(.failure(.final(.deadlineExceeded(at: "client", disposition: .maybe))))
        }
        for call in expired.waiting {
            // Without a connection that is the reason, however little time the call had.
            let isLate = call.request.deadline.time <= now && phase != .connecting
            call.end(.failure(.final(isLate ? .deadlineExceeded(at: "client", disposition: .notExecuted) : unreachable)))
        }
    }

    var unreachable: RPCError {
        RPCError(
            .unavailable, reason: "SERVER_UNREACHABLE",
            "no session with \(endpoint)\(others.isEmpty ? "" : " or another server") within \(configuration.connectTimeout); does it run?",
            disposition: .notExecuted, retryDelay: .milliseconds(500))
    }

    /// Sends PING where it is due; false where this socket is no longer of use.
    mutating func checkLiveness(on socket: borrowing Socket) throws(ZeroMQError) -> Bool {
        switch phase {
        case .ready, .draining:
            if liveness.isDead(at: now) {
                endInFlight("the server at \(endpoint) was silent for \(configuration.silenceLimit)")
                return false
            }
            if liveness.isPingDue(at: now) {
                _ = try sendControl(.ping, on: socket)
                liveness.didPing(at: now)
            }
        case .greeting(.sent), .greeting(.refused):
            // Lost, or refused: nobody may wait here while others are ready, so that where there are others it is repeated anyway.
            let isWanted = !calls.isEmpty || !others.isEmpty
            if isWanted, now.microseconds(since: helloSentAt) >= Self.helloRetryMicroseconds { phase = .greeting(.due) }
        case .parted(let since):
            return now.microseconds(since: since) < Self.partedMicroseconds
        case .connecting, .greeting(.due):
            break
        }
        return true
    }

    var millisecondsToNextTick: Int? {
        var next: UInt64?
        func consider(_ microseconds: UInt64) { next = min(next ?? .max, microseconds) }
        if let scan = calls.nextScan { consider(scan.microseconds(since: now)) }
        switch phase {
        case .ready, .draining:
            consider(liveness.nextChange(after: now).microseconds(since: now))
        case .greeting(.due): consider(0)
        case .greeting(.sent), .greeting(.refused):
            if !calls.isEmpty || !others.isEmpty {
                consider(helloSentAt.advanced(byMicroseconds: Self.helloRetryMicroseconds).microseconds(since: now))
            }
        case .parted(let since):
            consider(since.advanced(byMicroseconds: Self.partedMicroseconds).microseconds(since: now))
        case .connecting: break
        }
        if isBlocked { consider(Self.blockedRetryMicroseconds) }
        return next.map { Int(clamping: $0 / 1000 + 1) }
    }
}
