import RPC
import ZeroMQ

/// What happens to a connection by time, not by message.
extension Connection {
    mutating func expire() {
        let expired = calls.takeExpired(at: now)
        for call in expired.inFlight { call.end(.failure(.deadlineExceeded(at: "client", disposition: .maybe))) }
        for call in expired.waiting {
            // Without a connection that is the reason, however little time the call had.
            let isLate = call.deadline.time <= now && phase != .connecting
            call.end(.failure(isLate ? .deadlineExceeded(at: "client", disposition: .notExecuted) : unreachable))
        }
    }

    var unreachable: RPCError {
        RPCError(
            .unavailable, reason: "SERVER_UNREACHABLE",
            "no session with \(endpoint) within \(configuration.connectTimeout); is the server running?",
            disposition: .notExecuted, retryDelay: .milliseconds(500))
    }

    /// Sends PING where it is due; false where the server did not answer one in time.
    mutating func checkLiveness(on socket: borrowing Socket) throws(ZeroMQError) -> Bool {
        let heartbeat: UInt64
        switch phase {
        case .ready(let terms), .draining(let terms):
            heartbeat = terms.heartbeat
        case .greeting(isSent: true):
            // The server refused the last HELLO, or lost it.
            if !calls.isEmpty, now.microseconds(since: helloSentAt) >= Self.helloRetryMicroseconds { phase = .greeting(isSent: false) }
            return true
        case .parted(let since):
            return now.microseconds(since: since) < Self.partedMicroseconds
        case .connecting, .greeting(isSent: false):
            return true
        }
        if let pingSentAt {
            guard now.microseconds(since: pingSentAt) > configuration.silenceLimit.wholeMicroseconds else { return true }
            endInFlight("the server at \(endpoint) was silent for \(configuration.silenceLimit)")
            return false
        }
        if now.microseconds(since: lastHeard) >= heartbeat {
            // Where the pipe is full, the server reads nothing, which is as silent as no answer.
            _ = try sendControl(.ping, on: socket)
            pingSentAt = now
        }
        return true
    }

    var millisecondsToNextTick: Int? {
        var next: UInt64?
        func consider(_ microseconds: UInt64) { next = min(next ?? .max, microseconds) }
        if let scan = calls.nextScan { consider(scan.microseconds(since: now)) }
        switch phase {
        case .ready(let terms), .draining(let terms):
            if let pingSentAt {
                consider(pingSentAt.advanced(by: configuration.silenceLimit).microseconds(since: now))
            } else {
                consider(lastHeard.advanced(byMicroseconds: terms.heartbeat).microseconds(since: now))
            }
        case .greeting(isSent: false): consider(0)
        case .greeting(isSent: true):
            if !calls.isEmpty { consider(helloSentAt.advanced(byMicroseconds: Self.helloRetryMicroseconds).microseconds(since: now)) }
        case .parted(let since):
            consider(since.advanced(byMicroseconds: Self.partedMicroseconds).microseconds(since: now))
        case .connecting: break
        }
        if isBlocked { consider(Self.blockedRetryMicroseconds) }
        return next.map { Int(clamping: $0 / 1000 + 1) }
    }
}
