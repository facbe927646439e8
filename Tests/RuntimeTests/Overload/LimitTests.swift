import EmbeddedMongoDB
import Logging
import ProtoEcho
import ProtoRuntime
import RPC
@testable import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// Each limit, one below and one above it, by real peers.
@Suite struct LimitTests {
    /// A limit, what goes up to it, and one more.
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var limits = ServerLimits()
        var maxRequestBytes: Int?
        /// What is said of the one too many; nil: nothing is refused up to it.
        let reason: String
        /// Returns what is said of all up to the limit, then what is said of one more.
        let attempt: @Sendable (String) throws -> (within: [RawPeer.Reply], beyond: RawPeer.Reply)

        init(
            _ name: String, _ reason: String, maxRequestBytes: Int? = nil, _ change: (inout ServerLimits) -> Void,
            attempt: @escaping @Sendable (String) throws -> ([RawPeer.Reply], RawPeer.Reply)
        ) {
            testDescription = name
            self.reason = reason
            self.maxRequestBytes = maxRequestBytes
            self.attempt = attempt
            change(&limits)
        }
    }

    /// The server's handler keeps "hold" until the end.
    private static func hold(_ peer: RawPeer, ids: ClosedRange<UInt64>, bytes: Int = 4) throws {
        for id in ids { try peer.send(echoRequest(id: id, budget: 60_000_000), try held(bytes)) }
    }

    /// A payload of exactly so many bytes that the handler keeps.
    private static func held(_ bytes: Int) throws -> [UInt8] {
        var text = Array("hold".utf8)
        while try Echo.EchoRequest(payload: text).serializedBytes().count < bytes { text.append(UInt8(ascii: ".")) }
        return try Echo.EchoRequest(payload: text).serializedBytes()
    }

    private static func echo(_ peer: RawPeer, id: UInt64, payloadBytes: Int) throws -> RawPeer.Reply {
        var payload = try echoPayload("")
        // An unknown field fills it up: bytes of field 15.
        payload += [0x7A] + varint(payloadBytes - payload.count - 1 - (payloadBytes > 130 ? 2 : 1))
        payload += Array(repeating: 0, count: payloadBytes - payload.count)
        try peer.send(echoRequest(id: id), payload)
        return try peer.answer()
    }

    private static func varint(_ number: Int) -> [UInt8] {
        number < 128 ? [UInt8(number)] : [UInt8(number & 0x7F) | 0x80, UInt8(number >> 7)]
    }

    private static func withMetadata(_ peer: RawPeer, id: UInt64, pairs: Int, valueBytes: Int) throws -> RawPeer.Reply {
        let metadata = (0..<pairs).map { (key: "key\($0 % 10)", value: String(repeating: "v", count: valueBytes)) }
        let tlvs = HeaderExtension(metadata: metadata).encoded() ?? []
        try peer.send(echoRequest(id: id, extensionLength: tlvs.count), extensions: tlvs, try echoPayload("x"))
        return try peer.answer()
    }

    private static func greeted(_ endpoint: String, name: String = "hostile") throws -> RawPeer {
        let peer = try RawPeer(to: endpoint)
        try peer.greet(name: name)
        return peer
    }

    /// Holds `count` calls, by one peer after the other, and returns the answer to one more of the last.
    private static func fill(_ endpoint: String, _ count: UInt64, peers names: [String], bytes: Int = 4) throws -> ([RawPeer.Reply], RawPeer.Reply) {
        let peers = try names.map { try greeted(endpoint, name: $0) }
        for id in 1...count { try hold(peers[Int(id) % peers.count], ids: id...id, bytes: bytes) }
        // Each peer's messages are read in their order: its PONG says that none of its calls was refused.
        let pongs = try peers.map { peer in
            try peer.send(FrameHeader(type: .ping))
            return try peer.answer()
        }
        let last = peers[peers.count - 1]
        try hold(last, ids: (count + 1)...(count + 1), bytes: bytes)
        return (pongs, try last.answer())
    }

    static let cases = [
        Case("request payload", "MESSAGE_TOO_LARGE", { $0.maxRequestBytes = 1000 }) { endpoint in
            let peer = try greeted(endpoint)
            return ([try echo(peer, id: 1, payloadBytes: 1000)], try echo(peer, id: 2, payloadBytes: 1001))
        },
        Case("request payload of the method", "MESSAGE_TOO_LARGE", maxRequestBytes: 100, { $0.maxRequestBytes = 1000 }) { endpoint in
            let peer = try greeted(endpoint)
            return ([try echo(peer, id: 1, payloadBytes: 100)], try echo(peer, id: 2, payloadBytes: 101))
        },
        Case("metadata pairs", "METADATA_TOO_LARGE", { _ in }) { endpoint in
            let peer = try greeted(endpoint)
            return ([try withMetadata(peer, id: 1, pairs: 32, valueBytes: 1)], try withMetadata(peer, id: 2, pairs: 33, valueBytes: 1))
        },
        Case("metadata bytes", "METADATA_TOO_LARGE", { _ in }) { endpoint in
            let peer = try greeted(endpoint)
            return ([try withMetadata(peer, id: 1, pairs: 2, valueBytes: 1532)], try withMetadata(peer, id: 2, pairs: 2, valueBytes: 1533))
        },
        Case("calls in flight of a session", "TOO_MANY_IN_FLIGHT", { $0.maxInFlightPerSession = 10 }) { endpoint in
            try fill(endpoint, 10, peers: ["a"])
        },
        Case("calls in flight of a client", "TOO_MANY_IN_FLIGHT", { $0.maxInFlightPerClient = 10 }) { endpoint in
            try fill(endpoint, 10, peers: ["a", "a", "a"])
        },
        Case("calls in flight in all", "QUEUE_FULL", { $0.maxInFlight = 10 }) { endpoint in
            try fill(endpoint, 10, peers: ["a", "b", "c"])
        },
        Case("bytes in flight in all", "QUEUE_FULL", { $0.maxInFlightBytes = 1000 }) { endpoint in
            try fill(endpoint, 10, peers: ["a", "b", "c"], bytes: 100)
        },
        Case("waiting calls of a method, beside the one that runs", "QUEUE_FULL", { $0.maxQueuedPerMethod = 10 }) { endpoint in
            try running(endpoint) { try fill(endpoint, 10, peers: ["b", "c"]) }
        },
        Case("bytes of the waiting calls of a method", "QUEUE_FULL", { $0.maxQueuedBytesPerMethod = 1000 }) { endpoint in
            try running(endpoint) { try fill(endpoint, 10, peers: ["b", "c"], bytes: 100) }
        },
        Case("sessions", "TOO_MANY_SESSIONS", { $0.maxSessions = 3 }) { endpoint in
            let peers = try ["a", "b", "c", "d"].map { (try RawPeer(to: endpoint), $0) }
            var replies: [RawPeer.Reply] = []
            for (peer, name) in peers { replies.append(try peer.greet(name: name)) }
            return (Array(replies.dropLast()), replies[3])
        },
        Case("sessions of a client", "TOO_MANY_SESSIONS", { $0.maxSessionsPerClient = 2 }) { endpoint in
            let peers = try ["a", "a", "b", "a"].map { (try RawPeer(to: endpoint), $0) }
            var replies: [RawPeer.Reply] = []
            for (peer, name) in peers { replies.append(try peer.greet(name: name)) }
            return (Array(replies.dropLast()), replies[3])
        },
    ]

    /// Holds the only worker, then does `body`.
    private static func running<Result>(_ endpoint: String, _ body: () throws -> Result) throws -> Result {
        let peer = try greeted(endpoint)
        try hold(peer, ids: 1...1)
        // It runs once nothing waits.
        let deadline = Deadline.after(.seconds(20))
        repeat {
            try peer.send(FrameHeader(type: .ping))
            let pong = try Runtime.Pong(serializedBytes: try peer.answer().payload)
            if pong.queueDepth == 0 { return try body() }
        } while !deadline.hasPassed
        throw RawPeer.NoAnswer()
    }

    @Test(arguments: cases) func holds(_ it: Case) async throws {
        let release = Semaphore()
        let isOver = Shared(false)
        let handler = Handler<Echo.EchoRequest, Echo.EchoResponse>.unary(
            concurrency: 1, maxRequestBytes: it.maxRequestBytes
        ) { (request, _) throws(RPCError) in
            if request.payload.starts(with: Array("hold".utf8)), !isOver.value { release.wait() }
            return Echo.EchoResponse()
        }
        let server = try RunningServer.start(EchoHandlers(handler), limits: it.limits)
        defer { server.stop() }
        let endpoint = server.endpoint
        let (within, beyond) = try await onThread { try it.attempt(endpoint) }
        #expect(within.allSatisfy { $0.error == nil }, "\(within)")
        #expect(beyond.error?.reason == it.reason, "\(beyond)")
        #expect(beyond.error?.disposition == .notExecuted && beyond.error?.code == .resourceExhausted)
        isOver.withLock { $0 = true }
        release.signal()
    }

    /// What the send high-water mark has to be follows from the limits, and the socket has it.
    @Test(arguments: [1, 100, 4096, 100_000]) func theSocketHoldsTheAnswersOfASession(_ maxInFlight: Int) async throws {
        var limits = ServerLimits()
        limits.maxInFlightPerSession = maxInFlight
        #expect(limits.neededSendHighWaterMark >= 2 * (maxInFlight + limits.controlFrameReserve))
        let configuration = ServerConfiguration(listen: ["tcp://127.0.0.1:\(PortPicker.free())"], limits: limits)
        let mark = try await onThread { () throws -> Int in
            var endpoints: [String] = []
            return try Frontend.listen(configuration, endpoints: &endpoints).sendHighWaterMark()
        }
        #expect(mark >= limits.neededSendHighWaterMark)
    }
}
