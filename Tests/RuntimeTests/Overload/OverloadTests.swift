import Glibc
import ProtoEcho
import RPC
import RPCClient
import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// Many times more calls than can be carried out: a normal state.
@Suite(.serialized) struct OverloadTests {
    /// What became of a flood.
    private struct Flood: Sendable {
        var answered = 0
        var refused = 0
        var expired = 0
        var other: Set<String> = []
        var hadNoRetryInfo = 0
        var isOver = false

        mutating func count(_ reply: RawPeer.Reply) {
            guard let error = reply.error else { return answered += 1 }
            switch error.reason {
            case "QUEUE_FULL", "TOO_MANY_IN_FLIGHT":
                refused += 1
                if error.retryDelay == nil || error.disposition != .notExecuted { hadNoRetryInfo += 1 }
            case "DEADLINE_EXCEEDED": expired += 1
            default: other.insert(error.reason)
            }
        }
    }

    /// Sends so many calls a second as one client, whatever comes back, until `isOver`.
    private static func flood(_ endpoint: String, perMillisecond: Int, budget: UInt32, until isOver: @Sendable () -> Bool) throws -> Flood {
        let peer = try RawPeer(to: endpoint)
        try peer.greet(name: "flood")
        var result = Flood()
        var (sent, received): (UInt64, UInt64) = (0, 0)
        let start = MonotonicTime.now
        while !isOver() {
            let due = start.microseconds(to: .now) * UInt64(perMillisecond) / 1000
            // Open loop, but for what the session allows.
            while sent < due, sent - received < 4000 {
                sent += 1
                try peer.send(echoRequest(id: sent, budget: budget), try echoPayload("x"))
            }
            while let reply = try peer.receive(milliseconds: 0) {
                received += 1
                result.count(reply)
            }
            usleep(500)
        }
        while received < sent, let reply = try peer.receive(milliseconds: 20_000) {
            received += 1
            result.count(reply)
        }
        if received < sent { result.other.insert("\(sent - received) without an answer") }
        return result
    }

    /// One client floods, another asks politely: that one is served as if it were alone, and when the flood is over, all is as before.
    @Test func aPoliteClientIsServedBesideAFlood() async throws {
        let server = try RunningServer.start(EchoHandlers(.unary { (request, _) throws(RPCError) in
            usleep(2000)
            return Echo.EchoResponse(payload: request.payload)
        }))
        defer { server.stop() }
        let polite = try server.channel(name: "polite")
        defer { polite.close() }
        for _ in 0..<20 { _ = try await polite.echo("warm") }
        let isOver = Shared(false)
        let endpoint = server.endpoint
        // Four workers can do 2,000 a second.
        let flooding = Task.detached {
            try await onThread { try Self.flood(endpoint, perMillisecond: 10, budget: 2_000_000) { isOver.value } }
        }
        var failures: [String] = []
        let end = Deadline.after(.seconds(2))
        var asked = 0
        while !end.hasPassed {
            asked += 1
            let error = await failure { () throws(RPCError) in try await polite.echo("p", timeout: .seconds(1)) }
            if let error { failures.append("\(error)") }
            try await Task.sleep(for: .milliseconds(5))
        }
        isOver.withLock { $0 = true }
        let flood = try await flooding.value
        #expect(failures.count * 100 <= asked, "\(failures.count) of \(asked): \(failures.prefix(3))")
        #expect(flood.answered > 500 && flood.refused > flood.answered, "\(flood)")
        #expect(flood.other.isEmpty && flood.hadNoRetryInfo == 0, "\(flood)")
        // What is admitted is nearly always done in time: at full work, not at the price of useless work.
        #expect(flood.expired * 10 <= flood.answered, "\(flood)")
        // The flood's last calls have been answered: now nothing waits, and everybody is welcome.
        let flooder = try server.channel(name: "flood")
        defer { flooder.close() }
        for _ in 0..<20 { #expect(try await flooder.echo("x", timeout: .seconds(1)) == "x") }
        try await server.expectSound()
    }
}

extension MonotonicTime {
    fileprivate func microseconds(to later: MonotonicTime) -> UInt64 { later.microseconds(since: self) }
}
