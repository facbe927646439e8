import ProtoEcho
import ProtoRuntime
import RPC
import RPCServer
import Testing
import ZeroMQ

/// Calls that a well-behaved client would not make.
@Suite struct BadCallTests {
    /// Runs `body` as a peer of a new server, and sees to it that a normal call works afterwards.
    private func replies(
        _ handlers: EchoHandlers = .plain, _ body: @escaping @Sendable (RawPeer) throws -> [RawPeer.Reply]
    ) async throws -> [RawPeer.Reply] {
        let server = try RunningServer.start(handlers)
        defer { server.stop() }
        let endpoint = server.endpoint
        let replies = try await onThread { try body(try RawPeer(to: endpoint)) }
        try await server.expectSound()
        return replies
    }

    @Test func aCallBeforeHelloHasNoSession() async throws {
        let replies = try await replies { peer in
            try peer.send(echoRequest(id: 1), try echoPayload("x"))
            let refused = try peer.answer()
            try peer.greet()
            try peer.send(echoRequest(id: 2), try echoPayload("x"))
            return [refused, try peer.answer()]
        }
        #expect(replies[0].error?.reason == "SESSION_UNKNOWN" && replies[0].error?.disposition == .notExecuted)
        #expect(replies[0].header.id == 1)
        #expect(replies[1].error == nil && replies[1].header.id == 2)
    }

    @Test func aCallAfterByeHasNoSession() async throws {
        let replies = try await replies { peer in
            try peer.greet()
            try peer.send(FrameHeader(type: .bye))
            try peer.send(FrameHeader(type: .bye))
            try peer.send(echoRequest(id: 1), try echoPayload("x"))
            return [try peer.answer()]
        }
        #expect(replies[0].error?.code == .unavailable && replies[0].error?.reason == "SESSION_UNKNOWN")
        #expect(replies[0].error?.disposition == .notExecuted)
    }

    /// A second HELLO starts over: what was in flight is nobody's.
    @Test func aSecondHelloEndsTheFirstSession() async throws {
        let release = Semaphore()
        let entered = Semaphore()
        let handlers = EchoHandlers(.unary { (request, _) throws(RPCError) in
            if request.payload == Array("hold".utf8) {
                entered.signal()
                release.wait()
            }
            return Echo.EchoResponse(payload: request.payload)
        })
        let replies = try await replies(handlers) { peer in
            try peer.greet()
            try peer.send(echoRequest(id: 1), try echoPayload("hold"))
            entered.wait()
            try peer.greet(name: "another")
            release.signal()
            try peer.send(echoRequest(id: 2), try echoPayload("x"))
            return [try peer.answer()]
        }
        #expect(replies[0].header.id == 2 && replies[0].error == nil)
    }

    @Test func anUnknownMethodIsSaid() async throws {
        let replies = try await replies { peer in
            try peer.greet()
            for method: UInt32 in [0, 1, .max] {
                try peer.send(.request(callID: 3, method: method, sentAt: 0, budget: 0, extensionLength: 0))
            }
            return [try peer.answer(), try peer.answer(), try peer.answer()]
        }
        for reply in replies {
            #expect(reply.error?.code == .unimplemented && reply.error?.reason == "METHOD_NOT_FOUND" && reply.header.id == 3)
        }
    }

    /// The second of two calls with one id is refused in a way that cannot be taken for the first one's answer.
    @Test func aCallIDThatIsInFlightIsRefused() async throws {
        let release = Semaphore()
        let handlers = EchoHandlers(.unary { (request, _) throws(RPCError) in
            if request.payload == Array("first".utf8) { release.wait() }
            return Echo.EchoResponse(payload: request.payload)
        })
        let replies = try await replies(handlers) { peer in
            try peer.greet()
            try peer.send(echoRequest(id: 9), try echoPayload("first"))
            try peer.send(echoRequest(id: 9), try echoPayload("second"))
            let refused = try peer.answer()
            release.signal()
            let answered = try peer.answer()
            // Once it is answered, the id is as good as any.
            try peer.send(echoRequest(id: 9), try echoPayload("third"))
            return [refused, answered, try peer.answer()]
        }
        #expect(replies[0].header.type == .protocolError && replies[0].error?.reason == "DUPLICATE_CALL_ID")
        let (first, third) = (try echoPayload("first"), try echoPayload("third"))
        #expect(replies[1].header.type == .response && replies[1].payload == first)
        #expect(replies[2].payload == third)
    }

    @Test func aBudgetOfOneMicrosecondIsOverSomewhere() async throws {
        let replies = try await replies { peer in
            try peer.greet()
            try peer.send(echoRequest(id: 1, budget: 1), try echoPayload("x"))
            return [try peer.answer()]
        }
        // It may just be answered in time: the deadline is kept to milliseconds.
        #expect(replies[0].error == nil || replies[0].error?.code == .deadlineExceeded)
    }

    @Test func theLongestBudgetIsCutToTheServersLongest() async throws {
        let remaining = Shared<Duration>(.zero)
        let handlers = EchoHandlers(.unary { (request, context) throws(RPCError) in
            let left = context.deadline.remaining
            remaining.withLock { $0 = max($0, left) }
            return Echo.EchoResponse(payload: request.payload)
        })
        let replies = try await replies(handlers) { peer in
            try peer.greet()
            try peer.send(echoRequest(id: 1, budget: .max), try echoPayload("x"))
            return [try peer.answer()]
        }
        #expect(replies[0].error == nil)
        #expect(remaining.value > .seconds(590) && remaining.value <= .seconds(600))
    }

    /// A client that lies about its clock harms its own session at most.
    @Test(arguments: [[0], [.max], [1 << 63], [.max, 0], [0, .max], [5, 4, 3, 2, 1], [1 << 62, 0, 1 << 63, .max, 1]] as [[UInt64]])
    func anyTimeOfSendingIsSurvived(_ times: [UInt64]) async throws {
        let replies = try await replies { peer in
            try peer.greet()
            return try times.enumerated().map { index, time in
                try peer.send(echoRequest(id: UInt64(index + 1), sentAt: time, budget: 1_000_000), try echoPayload("x"))
                return try peer.answer()
            }
        }
        #expect(replies.map(\.header.id) == (1...UInt64(times.count)).map { $0 })
        #expect(replies[0].error == nil)
        for reply in replies { #expect(reply.error == nil || reply.error?.code == .deadlineExceeded) }
    }

    /// Neither does a CANCEL of nothing, nor one of another's call.
    @Test func cancellingWhatIsNotOnesOwnDoesNothing() async throws {
        let entered = Semaphore()
        let release = Semaphore()
        let server = try RunningServer.start(EchoHandlers(.unary { (request, _) throws(RPCError) in
            if request.payload == Array("hold".utf8) {
                entered.signal()
                release.wait()
            }
            return Echo.EchoResponse(payload: request.payload)
        }))
        defer { server.stop() }
        let endpoint = server.endpoint
        let reply = try await onThread { () throws -> RawPeer.Reply in
            let victim = try RawPeer(to: endpoint)
            try victim.greet(name: "same-name")
            try victim.send(echoRequest(id: 5), try echoPayload("hold"))
            entered.wait()
            let attacker = try RawPeer(to: endpoint)
            try attacker.greet(name: "same-name")
            for id: UInt64 in [0, 5, .max] {
                var cancel = FrameHeader(type: .cancel)
                cancel.id = id
                try attacker.send(cancel)
            }
            try attacker.send(FrameHeader(type: .ping))
            _ = try attacker.answer()
            release.signal()
            return try victim.answer()
        }
        #expect(reply.error == nil && reply.header.id == 5)
        try await server.expectSound()
    }

    /// More calls than the session may have in flight are refused, each of them.
    @Test func oneSessionCannotTakeTheWholeServer() async throws {
        var limits = ServerLimits()
        limits.maxInFlightPerSession = 10
        let release = Semaphore()
        let server = try RunningServer.start(EchoHandlers(.unary(concurrency: 1) { (request, _) throws(RPCError) in
            if request.payload == Array("hold".utf8) { release.wait() }
            return Echo.EchoResponse(payload: request.payload)
        }), limits: limits)
        defer { server.stop() }
        let endpoint = server.endpoint
        let (refused, answered) = try await onThread { () throws -> ([RawPeer.Reply], [RawPeer.Reply]) in
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            for id in 1...30 { try peer.send(echoRequest(id: UInt64(id)), try echoPayload("hold")) }
            let refused = try (0..<20).map { _ in try peer.answer() }
            for _ in 0..<10 { release.signal() }
            return (refused, try (0..<10).map { _ in try peer.answer() })
        }
        #expect(refused.allSatisfy { $0.error?.reason == "TOO_MANY_IN_FLIGHT" && $0.error?.disposition == .notExecuted })
        #expect(Set(refused.map(\.header.id)) == Set(11...30))
        #expect(refused.allSatisfy { $0.error?.retryDelay != nil })
        #expect(Set(answered.map(\.header.id)) == Set(1...10) && answered.allSatisfy { $0.error == nil })
        try await server.expectSound()
    }
}
