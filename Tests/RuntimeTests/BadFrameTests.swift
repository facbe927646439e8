import ProtoEcho
import ProtoRuntime
import RPC
import RPCServer
import Testing
import ZeroMQ

/// Messages that are none of the protocol's: each has its answer, or none and a counter, and a normal call works afterwards.
@Suite struct BadFrameTests {
    /// What the server does with a message.
    enum Fate: Sendable, Equatable {
        /// No answer; counted as dropped.
        case dropped
        /// A PROTOCOL_ERROR with this reason; counted as refused.
        case protocolError(String)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let frames: [[UInt8]]
        let fate: Fate
        var testDescription: String { name }
    }

    private static func header(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
        var bytes = echoRequest(id: 7).bytes
        change(&bytes)
        return bytes
    }

    private static let malformed = Fate.protocolError("MALFORMED_HEADER")
    private static let good = echoRequest(id: 7).bytes

    static let cases: [Case] = [
        // A message without a frame does not exist in ZMTP: an empty one is the least.
        Case(name: "one empty frame", frames: [[]], fate: .dropped),
        Case(name: "one frame", frames: [good], fate: .dropped),
        Case(name: "three frames", frames: [good, [], []], fate: .dropped),
        Case(name: "a delimiter as of REQ, then a call", frames: [[], good, []], fate: .dropped),
        Case(name: "1,000 frames", frames: [good] + Array(repeating: [1], count: 999), fate: .dropped),
        Case(name: "an empty header", frames: [[], []], fate: .dropped),
        Case(name: "a header of 31 bytes", frames: [Array(good.dropLast()), []], fate: .dropped),
        Case(name: "another magic", frames: [header { $0[0] = 0x47 }, []], fate: .dropped),
        Case(name: "version 0", frames: [header { $0[2] = 0 }, []], fate: malformed),
        Case(name: "version 255", frames: [header { $0[2] = 255 }, []], fate: malformed),
        Case(name: "type 0", frames: [header { $0[3] = 0 }, []], fate: malformed),
        Case(name: "type 255", frames: [header { $0[3] = 255 }, []], fate: malformed),
        Case(name: "a flag that must be understood", frames: [header { $0[5] = 0x80 }, []], fate: malformed),
        Case(name: "TLVs beyond the frame", frames: [header { $0[6] = 1 }, []], fate: malformed),
        Case(name: "TLVs beyond the limit", frames: [header { ($0[6], $0[7]) = (0x01, 0x10) } + Array(repeating: 0, count: 4097), []], fate: malformed),
        Case(name: "more bytes than TLVs", frames: [good + [0], []], fate: malformed),
        Case(name: "a RESPONSE from a client", frames: [header { $0[3] = FrameType.response.rawValue }, []], fate: .dropped),
        Case(name: "an EVENT from a client", frames: [header { $0[3] = FrameType.event.rawValue }, []], fate: .dropped),
    ]

    @Test(arguments: cases, [false, true]) func isAnsweredOrCounted(_ message: Case, inSession: Bool) async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let endpoint = server.endpoint
        let reply = try await onThread { () throws -> RawPeer.Reply in
            let peer = try RawPeer(to: endpoint)
            if inSession { try peer.greet() }
            try peer.send(message.frames)
            // PING is answered to anybody: nothing came before its PONG where nothing was to come.
            try peer.send(FrameHeader(type: .ping))
            return try peer.answer()
        }
        let stats = try await server.stats()
        switch message.fate {
        case .dropped:
            #expect(reply.header.type == .pong)
            #expect(stats.droppedCounts == ["FOREIGN_MESSAGE": 1])
        case .protocolError(let reason):
            #expect(reply.header.type == .protocolError && reply.error?.reason == reason)
            #expect(reply.error?.code == .invalidArgument && reply.error?.disposition == .notExecuted)
            #expect(stats.refusedCounts == [reason: 1])
        }
        try await server.expectSound()
    }

    /// TLVs that lie about their length, or about what is in them.
    @Test(arguments: [
        [1], [1, 0, 0], [1, 0, 1, 0], [1, 0, 255, 255, 0], [2, 0, 0, 0], [2, 0, 1, 0, 200], [2, 0, 2, 0, 0, 65],
        [200, 1, 0, 0], [200, 0, 0, 0, 9],
    ] as [[UInt8]]) func aLyingTLVIsSaid(_ bytes: [UInt8]) async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let endpoint = server.endpoint
        let reply = try await onThread { () throws -> RawPeer.Reply in
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            try peer.send(echoRequest(id: 7, extensionLength: bytes.count), extensions: bytes, try echoPayload("x"))
            return try peer.answer()
        }
        #expect(reply.header.type == .protocolError && reply.header.id == 7)
        #expect(reply.error?.reason == "MALFORMED_HEADER" && reply.error?.disposition == .notExecuted)
        try await server.expectSound()
    }

    /// What may be skipped is skipped.
    @Test func anUnknownTLVAndFlagsThatMayBeIgnoredDoNoHarm() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let endpoint = server.endpoint
        let reply = try await onThread { () throws -> RawPeer.Reply in
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            var header = echoRequest(id: 7, extensionLength: 5)
            header.flags = 0x00FF
            try peer.send(header, extensions: [200, 0, 1, 0, 9], try echoPayload("x"))
            return try peer.answer()
        }
        #expect(reply.header.type == .response && reply.error == nil && reply.header.id == 7)
        try await server.expectSound()
    }

    /// One byte over the limit is answered; more than twice the limit ends the connection, and not the server.
    @Test func aPayloadOverTheLimitIsSaid() async throws {
        var limits = ServerLimits()
        limits.maxRequestBytes = 10_000
        let server = try RunningServer.start(EchoHandlers.plain, limits: limits)
        defer { server.stop() }
        let endpoint = server.endpoint
        let (atLimit, over) = try await onThread { () throws -> (RawPeer.Reply, RawPeer.Reply) in
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            // A field that the server does not know, so that its size is exact: tag 15, wire type 2, two bytes of length.
            func payload(_ count: Int) -> [UInt8] {
                let length = count - 3
                return [0x7A, UInt8(length & 0x7F) | 0x80, UInt8(length >> 7)] + Array(repeating: 0, count: length)
            }
            try peer.send(echoRequest(id: 1), payload(10_000))
            let atLimit = try peer.answer()
            try peer.send(echoRequest(id: 2), payload(10_001))
            let over = try peer.answer()
            try peer.send(echoRequest(id: 3), Array(repeating: 0, count: 20_001))
            return (atLimit, over)
        }
        #expect(atLimit.error == nil)
        #expect(over.header.id == 2 && over.error?.reason == "MESSAGE_TOO_LARGE" && over.error?.disposition == .notExecuted)
        try await server.expectSound()
    }

    @Test(arguments: [[], [0xFF], [10, 200], Array(repeating: 0x0A, count: 5000)] as [[UInt8]])
    func aMalformedHelloIsSaid(_ payload: [UInt8]) async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let endpoint = server.endpoint
        let reply = try await onThread { () throws -> RawPeer.Reply in
            let peer = try RawPeer(to: endpoint)
            try peer.send(FrameHeader(type: .hello), payload)
            return try peer.answer()
        }
        #expect(reply.header.type == .protocolError && reply.error?.disposition == .notExecuted)
        #expect(try await server.stats().sessionCount == 1)
        try await server.expectSound()
    }

    @Test(arguments: ["", "Upper", "-dash", "a b", "a\nb", String(repeating: "a", count: 65), "ä"])
    func aNameThatIsNoneIsSaid(_ name: String) async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let endpoint = server.endpoint
        let reply = try await onThread { () throws -> RawPeer.Reply in try RawPeer(to: endpoint).greet(name: name) }
        #expect(reply.header.type == .protocolError && reply.error?.code == .invalidArgument)
        try await server.expectSound()
    }

    @Test func aHelloOfAnotherVersionIsSaid() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let endpoint = server.endpoint
        let reply = try await onThread { () throws -> RawPeer.Reply in
            let peer = try RawPeer(to: endpoint)
            try peer.send(
                FrameHeader(type: .hello), try Runtime.Hello(minVersion: 2, maxVersion: 9, clientName: "future").serializedBytes())
            return try peer.answer()
        }
        #expect(reply.error?.code == .unimplemented && reply.error?.reason == "VERSION_UNSUPPORTED")
        try await server.expectSound()
    }
}
