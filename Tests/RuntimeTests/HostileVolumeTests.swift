import EmbeddedMongoDB
import ProtoEcho
import ProtoRuntime
import RPC
import RPCClient
import TestSupport
import Testing
import ZeroMQ

/// Bad input in bulk: it is counted, it leaves nothing behind, and who is normal is served beside it.
@Suite(.blocking) struct HostileVolumeTests {
    /// Frames and calls that are refused or dropped, one of each kind.
    private static func assortment() throws -> [[[UInt8]]] {
        let good = echoRequest(id: 7).bytes
        func header(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
            var bytes = good
            change(&bytes)
            return bytes
        }
        let longBudget = echoRequest(id: 8, budget: .max).bytes
        let lyingTLV: [UInt8] = [1, 0, 255, 255, 0]
        return [
            [[]], [good], [good, [], []], [[], []], [header { $0[0] = 0 }, []], [header { $0[2] = 255 }, []], [header { $0[3] = 200 }, []],
            [header { $0[5] = 0x80 }, []], [header { $0[6] = 9 }, []], [good + [0], []], [header { $0[3] = FrameType.response.rawValue }, []],
            [echoRequest(id: 9, extensionLength: 5).bytes + lyingTLV, try echoPayload("x")],
            // Calls: of no method, of a payload that does not decode, without time, and with an answer of some size.
            [FrameHeader.request(callID: 1, method: 1, sentAt: 0, budget: 0, extensionLength: 0).bytes, []],
            [longBudget, Array(repeating: 0xFF, count: 100)], [longBudget, [0x0A, 200]],
            [echoRequest(id: 10, budget: 1).bytes, try echoPayload("x")], [good, Array(repeating: 0x0A, count: 500)],
            [FrameHeader(type: .cancel).bytes, []], [FrameHeader(type: .hello).bytes, [0xFF]],
            [FrameHeader(type: .hello).bytes, try Runtime.Hello(minVersion: 1, maxVersion: 1, clientName: "hostile").serializedBytes()],
        ]
    }

    private static let messageCount = 200_000

    /// 200,000 messages of all kinds of defects through connections that come and go: the server's memory is where it was.
    @Test func memoryStaysFlat() async throws {
        let server = try PeerProcess("echo-server")
        defer { server.end() }
        let endpoint = server.endpoint
        let channel = try Channel(to: endpoint, name: "normal", configuration: .patient)
        defer { channel.close() }
        #expect(try await channel.echo("before", timeout: .seconds(60)) == "before")
        let assortment = try Self.assortment()
        func attack(_ count: Int) async throws -> Int {
            try await onThread {
                let rounds = count / assortment.count
                for part in 0..<10 {
                    // Answers are read now and then only: what does not fit is the server's to drop.
                    let peer = try RawPeer(to: endpoint)
                    for round in 0..<(rounds / 10) {
                        for frames in assortment { try peer.send(frames) }
                        if part % 2 == 0, round % 50 == 0 { _ = try peer.receive(milliseconds: 0) }
                    }
                    // The last of them has been read before the connection goes.
                    var ping = FrameHeader(type: .ping)
                    ping.id = 4711
                    try peer.send(ping)
                    while let reply = try peer.receive(), reply.header.type != .pong || reply.header.id != 4711 {}
                }
            }
            _ = try await channel.echo("normal", timeout: .seconds(60))
            return server.residentKilobytes
        }
        // Warm: what the allocator keeps of the first ones, it uses again.
        let warm = try await attack(Self.messageCount / 4)
        let after = try await attack(Self.messageCount)
        print("\(warm) KiB after \(Self.messageCount / 4) messages, \(after) KiB after \(Self.messageCount) more")
        #expect(after < warm + 20_000)
        let stats = try await Runtime.RuntimeService.Client(channel).stats(Runtime.StatsRequest(), options: CallOptions(timeout: .seconds(60)))
        #expect(stats.isBalanced, "\(stats)")
        #expect(stats.refusedCounts["MALFORMED_HEADER"] ?? 0 > 0 && stats.droppedCounts["FOREIGN_MESSAGE"] ?? 0 > 0, "\(stats)")
        #expect(stats.receivedCount > Int64(Self.messageCount), "\(stats)")
    }

    /// A session that said nothing for three heartbeats is over, and its next call is told so.
    @Test func aCallInASessionThatEndedHasNoSession() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let endpoint = server.endpoint
        let (ended, again) = try await onThread { () throws -> (RawPeer.Reply, RawPeer.Reply) in
            let auditor = try RawPeer(to: endpoint)
            try auditor.greet(name: "auditor")
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            var stats = Runtime.StatsResponse()
            var question: UInt64 = 0
            let deadline = Deadline.after(.seconds(30))
            repeat {
                question += 1
                try auditor.send(.request(
                    callID: question, method: Runtime.RuntimeService.stats.id, sentAt: MonotonicTime.now.microseconds, budget: 0, extensionLength: 0))
                stats = try Runtime.StatsResponse(serializedBytes: try auditor.answer().payload)
            } while stats.sessionCount > 1 && !deadline.hasPassed
            try peer.send(echoRequest(id: 1), try echoPayload("x"))
            let ended = try peer.answer()
            try peer.greet()
            try peer.send(echoRequest(id: 2), try echoPayload("x"))
            return (ended, try peer.answer())
        }
        #expect(ended.error?.reason == "SESSION_UNKNOWN" && ended.error?.disposition == .notExecuted)
        #expect(again.error == nil)
        try await server.expectSound()
    }
}
