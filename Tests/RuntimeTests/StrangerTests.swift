import ProtoEcho
import RPC
import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// Peers that never come as far as a session: they are let go within the handshake's time, and nobody else notices.
@Suite(.blocking) struct StrangerTests {
    /// The handshake interval of 3 s, and room for a busy machine.
    private static let patience = Duration.seconds(20)

    struct Stranger: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        var testDescription: String { name }
    }

    private static let greeting: [UInt8] = [0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1] + Array("NULL".utf8) + Array(repeating: 0, count: 48)

    static let strangers: [Stranger] = {
        var seed = UInt64(20_26)
        let noise = (0..<4096).map { _ in
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: seed >> 33)
        }
        return [
            Stranger(name: "nothing", bytes: []),
            Stranger(name: "noise", bytes: noise),
            Stranger(name: "HTTP", bytes: Array("GET / HTTP/1.1\r\nHost: orderwire\r\n\r\n".utf8)),
            Stranger(name: "a TLS hello", bytes: [0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3] + Array(repeating: 0xAB, count: 194)),
            Stranger(name: "half a greeting", bytes: Array(greeting.prefix(20))),
            Stranger(name: "a greeting, and no more", bytes: greeting),
            Stranger(name: "a greeting for CURVE", bytes: Array(greeting.prefix(12)) + Array("CURVE".utf8) + Array(repeating: 0, count: 47)),
            Stranger(name: "a greeting and a command of 2^63 bytes", bytes: greeting + [6, 0x7F] + Array(repeating: 0xFF, count: 7)),
            Stranger(name: "a greeting and READY of nonsense", bytes: greeting + [4, 38, 5] + Array("READY".utf8) + Array(repeating: 0xFF, count: 32)),
            Stranger(name: "a message before READY", bytes: greeting + [0, 1, 65]),
        ]
    }()

    @Test(arguments: strangers) func isLetGo(_ stranger: Stranger) async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let target = port(of: server.endpoint)
        let connection = try TCPStream(port: target)
        try connection.write(stranger.bytes)
        // Meanwhile everybody else is served.
        try await server.expectSound()
        let said = try await onThread { connection.readToEnd(within: Self.patience) }
        // At most a greeting of ZMTP: never a frame of ours.
        let bytes = try #require(said, "the connection was still open")
        #expect(bytes.isEmpty || bytes[0] == 0xFF)
        #expect(!bytes.contains([0x5A, 0xD1]))
        try await server.expectSound()
        #expect(try await server.stats().droppedCounts.isEmpty)
        // Nobody answers a stranger, but the operator can see that there was one.
        var counts: [String: Int64] = [:]
        let isCounted = try await eventually {
            counts = try await server.stats().connectionCounts
            return counts["ACCEPTED", default: 0] > counts["HANDSHAKE_SUCCEEDED", default: 0]
        }
        #expect(isCounted, "\(counts)")
    }

    /// Half a thousand strangers that say nothing delay nobody.
    @Test func manySilentStrangersDelayNobody() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let target = port(of: server.endpoint)
        let strangers = try (0..<300).map { _ in try TCPStream(port: target) }
        let before = MonotonicTime.now
        try await server.expectSound()
        #expect(MonotonicTime.now.microseconds(since: before) < 5_000_000)
        withExtendedLifetime(strangers) {}
    }

    /// Socket types that do not fit are refused by ZMTP itself; REQ and ROUTER fit, and say what is no message of ours.
    @Test(arguments: [Socket.Kind.push, .pull, .pair, .reply, .request, .router])
    func anotherSocketTypeGetsNothing(_ kind: Socket.Kind) async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let endpoint = server.endpoint
        let answer = try await onThread { () throws -> RawPeer.Reply? in
            let peer = try RawPeer(kind, to: endpoint)
            // What cannot be sent or received on this type is refused by libzmq on this side already.
            do throws(ZeroMQError) {
                for _ in 0..<100 where try peer.socket.send(Frame(copying: [1, 2, 3]), more: false) != .sent {
                    var poller = Poller()
                    _ = poller.add(peer.socket)
                    try poller.wait(milliseconds: 5)
                }
            } catch {
                return nil
            }
            if kind == .push || kind == .router { return nil }
            return try peer.receive(milliseconds: 300)
        }
        #expect(answer == nil)
        try await server.expectSound()
    }
}

extension [UInt8] {
    func contains(_ other: [UInt8]) -> Bool {
        guard count >= other.count else { return false }
        return (0...(count - other.count)).contains { self[$0..<($0 + other.count)].elementsEqual(other) }
    }
}
