import EmbeddedMongoDB
import Foundation
import ProtoEcho
import ProtoRuntime
import RPC
import RPCClient
import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// What libzmq 4.3.4 does to the unwary, each with the remedy in place. A test's first name is the pitfall's number.
///
/// Victims that would be aborted without the remedy are processes of their own.
@Suite(.serialized, .blocking) struct ZeroMQPitfallTests {
    // MARK: Z1: a peer claims the routing id that ROUTER will give to the next anonymous one

    /// The first id after srand(1), the state of a process that never seeds: what glibc's rand(3) says first, and the
    /// lowest bit of what it says next above it.
    private static let firstUnseededID: UInt32 = 1_804_289_383 | (846_930_886 & 1) << 31

    /// Lets peers claim the ids that an unseeded ROUTER gives next, and then anonymous peers come.
    private func claimNextIDs(of victim: PeerProcess) throws {
        let claims = try (0..<40).map { offset -> TCPStream in
            let stream = try TCPStream(port: victim.port)
            let id = (Self.firstUnseededID &+ UInt32(offset)).bigEndian
            try stream.handshake(routingID: [0] + withUnsafeBytes(of: id, Array.init))
            return stream
        }
        let anonymous = (0..<40).compactMap { _ -> TCPStream? in
            // A victim that is gone takes no connection any more.
            guard let stream = try? TCPStream(port: victim.port) else { return nil }
            try? stream.handshake()
            return stream
        }
        withExtendedLifetime((claims, anonymous)) {}
    }

    /// Shows that the attack is one: without a seed it kills.
    @Test func z1_aClaimedRoutingIDKillsAnUnseededRouter() async throws {
        let signal = try await onThread { () throws -> Int32 in
            let victim = try PeerProcess("router-without-seed")
            try claimNextIDs(of: victim)
            let deadline = Deadline.after(.seconds(10))
            while victim.isRunning, !deadline.hasPassed { usleep(10_000) }
            return victim.end()
        }
        #expect(signal == SIGABRT)
    }

    @Test func z1_aClaimedRoutingIDDoesNotKillASeededRouter() async throws {
        let isAlive = try await onThread { () throws -> Bool in
            let victim = try PeerProcess("router")
            defer { victim.end() }
            try claimNextIDs(of: victim)
            let stream = try TCPStream(port: victim.port)
            try stream.handshake()
            try stream.write(TCPStream.message([Array("still there?".utf8)]))
            return stream.receive(until: Array("still there?".utf8)) && victim.isRunning
        }
        #expect(isAlive)
    }

    // MARK: Z2: with ZMTP heartbeats, a peer that fills a ROUTER and leaves aborts it

    @Test func z2_aPeerThatFillsARouterAndLeavesDoesNotKillIt() async throws {
        let isAlive = try await onThread { () throws -> Bool in
            let victim = try PeerProcess("deaf-router")
            defer { victim.end() }
            let message = TCPStream.message([Array(repeating: 7, count: 200)])
            for turn in 0..<6 {
                let stream = try TCPStream(port: victim.port)
                try stream.handshake()
                // Until its high-water mark and the kernel's buffers are full.
                let sent = stream.flood(Array(repeating: message, count: 100).flatMap { $0 }, milliseconds: 100)
                guard sent > 1000 * message.count else { throw TCPStream.Failure("flood") }
                if turn % 2 == 0 { stream.reset() } else { shutdown(stream.descriptor, Int32(SHUT_RDWR)) }
            }
            try victim.wake()
            let stream = try TCPStream(port: victim.port)
            try stream.handshake()
            try stream.write(TCPStream.message([Array("still there?".utf8)]))
            return stream.receive(until: Array("still there?".utf8)) && victim.isRunning
        }
        #expect(isAlive)
    }

    /// The remedy is to leave them alone: no source names the options.
    @Test func z2_heartbeatsAreNeverSet() throws {
        let sources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Sources/ZeroMQ")
        for file in try FileManager.default.contentsOfDirectory(at: sources, includingPropertiesForKeys: nil) {
            let text = try String(contentsOf: file, encoding: .utf8)
            #expect(!text.contains(/ZMQ_HEARTBEAT_(IVL|TIMEOUT|TTL)/), "\(file.lastPathComponent)")
        }
    }

    // MARK: Z5: neither high-water marks nor size limits bound the frames of a message

    @Test func z5_messagesOfManyFramesAreLetGo() async throws {
        let server = try PeerProcess("echo-server")
        defer { server.end() }
        let channel = try Channel(to: server.endpoint, name: "normal", configuration: .patient)
        defer { channel.close() }
        #expect(try await channel.echo("before", timeout: .seconds(20)) == "before")
        // Warm: what the allocator keeps of the first one, it uses again for the others.
        let port = server.port
        func attack() async throws -> Int {
            try await onThread {
                let stream = try TCPStream(port: port)
                try stream.handshake()
                try stream.write(TCPStream.message(Array(repeating: [1, 2, 3], count: 120_000)))
                // The connection lives on: PING, behind all that, is answered.
                try stream.write(TCPStream.message([FrameHeader(type: .ping).bytes, []]))
                return stream.receive(until: [0x5A, 0xD1])
            } ? server.residentKilobytes : -1
        }
        let first = try await attack()
        #expect(first > 0, "no answer to PING")
        var last = 0
        for _ in 0..<5 { last = try await attack() }
        #expect(last > 0 && last < first + 20_000, "\(first) KiB after the first, \(last) KiB after the sixth")
        #expect(try await channel.echo("after", timeout: .seconds(20)) == "after")
    }

    // MARK: Z7: ROUTER drops replies to a slow reader without a word

    @Test func z7_repliesToAPeerThatDoesNotReadAreCounted() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let target = port(of: server.endpoint)
        let payload = try Echo.EchoRequest(payload: Array(repeating: 7, count: 200)).serializedBytes()
        let hello = try Runtime.Hello(minVersion: 1, maxVersion: 1, clientName: "deaf").serializedBytes()
        // Little room on this side, so that the server's own pipe fills.
        let stream = try TCPStream(port: target, receiveBuffer: 4096)
        let (sent, count) = try await onThread { () throws -> (Int, Int) in
            try stream.handshake()
            try stream.write(TCPStream.message([FrameHeader(type: .hello).bytes, hello]))
            var calls: [UInt8] = []
            for id in 0..<40_000 { calls += TCPStream.message([echoRequest(id: UInt64(id)).bytes, payload]) }
            return (stream.flood(calls, limit: calls.count, milliseconds: 2000), calls.count)
        }
        let isCounted = try await eventually { try await server.stats().droppedCounts["PEER_FULL"] ?? 0 > 0 }
        let stats = try await server.stats()
        #expect(isCounted, "\(sent) of \(count) bytes were taken: \(stats)")
        try await server.expectSound()
        withExtendedLifetime(stream) {}
    }

    // MARK: Z9: a socket monitor that nobody reads stops the I/O thread

    /// Shows that the danger is one: with a monitor that nobody reads, the first peer that comes stops all I/O.
    @Test func z9_aMonitorThatNobodyReadsStopsItsProcess() async throws {
        try await onThread {
            let victim = try PeerProcess("monitored-router")
            defer { victim.end() }
            let stream = try TCPStream(port: victim.port)
            #expect(throws: TCPStream.Failure.self) { try stream.handshake(within: .seconds(1)) }
            #expect(victim.isRunning)
        }
    }

    @Test func z9_strangersThatComeAndGoDoNotStopAServer() async throws {
        let server = try PeerProcess("echo-server")
        defer { server.end() }
        let channel = try Channel(to: server.endpoint, name: "normal", configuration: .patient)
        defer { channel.close() }
        let port = server.port
        for round in 0..<40 {
            try await onThread {
                for number in 0..<50 {
                    let stream = try TCPStream(port: port)
                    if number % 2 == 0 { stream.reset() }
                }
            }
            #expect(try await channel.echo("\(round)", timeout: .seconds(20)) == "\(round)")
        }
    }

    /// A client reads what its own monitor says, also while its server takes each connection and drops it.
    @Test func z9_aServerThatDropsEachConnectionStopsNoOtherChannel() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let proxy = try TCPProxy(to: server.endpoint)
        defer { proxy.stop() }
        let restless = try Channel(to: proxy.endpoint, name: "restless", configuration: .patient)
        defer { restless.close() }
        let calm = try server.channel()
        defer { calm.close() }
        // The client connects again after 20 ms.
        let isRestless = try await eventually {
            proxy.resetAll()
            return try await calm.echo("calm", timeout: .seconds(20)) == "calm" && proxy.acceptedCount >= 20
        }
        #expect(isRestless, "\(proxy.acceptedCount) connections")
        // A call may have met the last reset.
        let isServed = try await eventually { await failure { () throws(RPCError) in try await restless.echo("at last", timeout: .seconds(20)) } == nil }
        #expect(isServed)
        try await server.expectSound()
    }

    // MARK: Z10: a client of an ephemeral port can meet itself

    @Test func z10_portsLieBelowTheEphemeralOnes() throws {
        let text = try String(contentsOfFile: "/proc/sys/net/ipv4/ip_local_port_range", encoding: .utf8)
        let firstEphemeral = try #require(text.split(whereSeparator: \.isWhitespace).first.flatMap { UInt16($0) })
        #expect(PortPicker.range.upperBound <= 32_768 && PortPicker.range.upperBound <= firstEphemeral)
        #expect(EventEndpoints().ports.upperBound < 32_768)
        for _ in 0..<20 { #expect(PortPicker.range.contains(PortPicker.free())) }
    }

    // MARK: Z13: routing ids that peers choose

    /// A peer with a name of its own is not served: it could claim another's, or be shut out by one.
    @Test func z13_aPeerThatChoseItsRoutingIDGetsNothing() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let endpoint = server.endpoint
        let replies = try await onThread { () throws -> [RawPeer.Reply?] in
            // The second of one name is ignored by libzmq itself.
            let peers = [try RawPeer(routingID: "me", to: endpoint), try RawPeer(routingID: "me", to: endpoint)]
            for peer in peers {
                try peer.send(FrameHeader(type: .hello), try Runtime.Hello(minVersion: 1, maxVersion: 1, clientName: "me").serializedBytes())
            }
            return try peers.map { try $0.receive(milliseconds: 300) }
        }
        #expect(replies == [nil, nil])
        #expect(try await eventually { try await server.stats().droppedCounts == ["FOREIGN_MESSAGE": 1] })
        #expect(try await server.stats().sessionCount == 1)
        try await server.expectSound()
    }

    // MARK: Z16: by itself, libzmq keeps a socket for ever that has something left to send

    @Test func z16_whatCannotBeSentHoldsNoSocket() throws {
        let process = try PeerProcess("leaver")
        defer { process.end() }
        let counts = try #require(try process.readLine()).split(separator: " ").compactMap { Int($0) }
        try #require(counts.count == 2)
        #expect(counts[1] <= counts[0] + 10, "descriptors: \(counts[0]) before, \(counts[1]) after")
    }
}
