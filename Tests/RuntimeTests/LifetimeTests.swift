import EmbeddedMongoDB
import Foundation
import Logging
import ProtoEcho
import ProtoRuntime
import RPC
import RPCClient
@testable import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// What is let go when it is over: nothing stays behind, whatever came late or never.
@Suite(.blocking) struct LifetimeTests {
    /// Something that a handler holds.
    private final class Witness: Sendable {}

    /// A parked call that is answered after the end does not keep the server's mailbox, nor the server its handlers.
    @Test func aStoppedServerIsLetGo() async throws {
        let parked = Shared<[ServerCall<Echo.EchoRequest, Echo.EchoResponse>]>([])
        let entered = Gate()
        weak var handler: Witness?
        weak var server: Server?
        try await {
            let witness = Witness()
            handler = witness
            let running = try RunningServer.start(EchoHandlers(.parked { call in
                withExtendedLifetime(witness) { parked.withLock { $0.append(call) } }
                entered.open()
            }), drainTimeout: .milliseconds(50))
            server = running.server
            let channel = try running.channel()
            let call = Task { await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(30)) } }
            await entered.wait()
            running.stop()
            let error = await call.value
            #expect(error?.code == .unavailable && error?.disposition == .maybe)
            channel.close()
        }()
        // Late, twice, and to nobody.
        for call in parked.value {
            call.reply(Echo.EchoResponse())
            call.fail(RPCError(.aborted, reason: "LATE", "late"))
        }
        weak let call = parked.value.first.flatMap { Mirror(reflecting: $0).descendant("call") as? Call }
        #expect(call != nil)
        parked.withLock { $0 = [] }
        #expect(call == nil, "the answered call is kept")
        #expect(try await eventually { server == nil && handler == nil }, "the server or its handlers are kept")
    }

    /// Starting and stopping leaves no descriptor and no thread behind.
    @Test func startingAndStoppingLeavesNothingOpen() async throws {
        let process = try PeerProcess("start-and-stop")
        defer { process.end() }
        let line = try #require(try process.readLine())
        let counts = line.split(separator: " ").compactMap { Int($0) }
        try #require(counts.count == 4, "\(line)")
        #expect(counts[2] <= counts[0] + 2, "descriptors: \(counts[0]) after the first, \(counts[2]) after the last")
        #expect(counts[3] <= counts[1], "threads: \(counts[1]) after the first, \(counts[3]) after the last")
    }

    @Test func aServerStartsOnce() throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        let error = #expect(throws: RPCError.self) { try server.server.start() }
        #expect(error?.reason == "ALREADY_STARTED")
        #expect(!server.server.endpoints.isEmpty)
        server.stop()
        server.stop()
        #expect(throws: RPCError.self) { try server.server.start() }
    }

    /// Closing and letting go need no order, and may come twice.
    @Test func channelsAndStreamsMayBeLetGoAtAnyTime() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        for turn in 0..<20 {
            let channel = try server.channel()
            let calls = (0..<5).map { _ in Task { await failure { () throws(RPCError) in try await channel.echo("x") } } }
            if turn % 2 == 0 { channel.close() }
            for call in calls {
                let error = await call.value
                #expect(error == nil || error?.reason == "CHANNEL_CLOSED")
            }
            channel.close()
            _ = try EventStream(endpoint: server.endpoint, memberID: "m", token: "t")
        }
        try await server.expectSound()
    }
}

/// A handler that does not return keeps nobody from ending.
@Suite(.blocking) struct StuckHandlerTests {
    @Test func shuttingDownDoesNotWaitForAStuckHandler() async throws {
        let entered = Gate()
        let release = Semaphore()
        let server = try RunningServer.start(EchoHandlers(.unary { (request, _) throws(RPCError) in
            entered.open()
            release.wait()
            return Echo.EchoResponse(payload: request.payload)
        }), drainTimeout: .milliseconds(300))
        let channel = try server.channel()
        defer { channel.close() }
        let call = Task { await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(60)) } }
        await entered.wait()
        let before = MonotonicTime.now
        server.stop()
        // The time to drain, the time for a handler to return, and room for a busy machine.
        #expect(MonotonicTime.now.microseconds(since: before) < 5_000_000)
        let error = await call.value
        // The answer, or the end of the connection, whatever the client sees first.
        #expect(error?.code == .unavailable && error?.disposition == .maybe, "\(String(describing: error))")
        // It returns to an empty house.
        release.signal()
    }

    /// The promise to whoever sends SIGTERM: exit 0 within 10 s, whatever handlers do.
    @Test func aProgramWithAStuckHandlerEndsInTime() async throws {
        let process = try PeerProcess("stuck-server")
        defer { process.end() }
        let channel = try Channel(to: process.endpoint, name: "tester", configuration: .patient)
        defer { channel.close() }
        let call = Task { await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(60)) } }
        #expect(try process.readLine() == "stuck")
        let before = MonotonicTime.now
        process.signal(SIGTERM)
        let status = await withCheckedContinuation { continuation in
            startThread { continuation.resume(returning: process.waitForStatus()) }
        }
        #expect(status == 0)
        #expect(MonotonicTime.now.microseconds(since: before) < 10_000_000)
        _ = await call.value
    }
}

/// Handlers that are held up: what is over is not kept, and what is too much is refused.
@Suite struct BacklogTests {
    /// With the one worker held up, calls expire in the queue: they leave it, payload and all, so that their number and their
    /// bytes stay bounded, and none of them runs later.
    @Test func callsThatExpireWhileTheyWaitAreLetGo() async throws {
        let entered = Gate()
        let release = Semaphore()
        let ran = Shared(0)
        var limits = ServerLimits()
        limits.maxQueuedPerMethod = 2000
        let server = try RunningServer.start(EchoHandlers(.unary(concurrency: 1) { (request, _) throws(RPCError) in
            if request.payload == Array("hold".utf8) {
                entered.open()
                release.wait()
            } else {
                ran.withLock { $0 += 1 }
            }
            return Echo.EchoResponse(payload: request.payload)
        }), limits: limits)
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        let held = Task { await failure { () throws(RPCError) in try await channel.echo("hold", timeout: .seconds(60)) } }
        await entered.wait()
        for _ in 0..<5 {
            let errors = await withTaskGroup(of: RPCError?.self) { group in
                for _ in 0..<1500 { group.addTask { await failure { () throws(RPCError) in try await channel.echo("x", timeout: .milliseconds(300)) } } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(errors.allSatisfy { $0?.code == .deadlineExceeded }, "\(Set(errors.map { $0?.reason ?? "none" }))")
            let isCleared = try await eventually {
                let echo = try await server.stats().methods.first { $0.method == Echo.EchoService.echo.fullName }
                return echo?.queuedCount ?? 0 < 300
            }
            #expect(isCleared)
        }
        release.signal()
        #expect(await held.value == nil)
        try await server.expectSound()
        // Only the normal calls did.
        #expect(ran.value < 10)
    }

    /// A peer that connects, says HELLO and goes, again and again, keeps nobody out; peers that stay do, up to the limit.
    @Test func sessionsWithoutAConnectionKeepNobodyOut() async throws {
        var limits = ServerLimits()
        limits.maxSessions = 10
        let configuration = ServerConfiguration(
            listen: ["tcp://127.0.0.1:\(PortPicker.free())"], limits: limits, heartbeatInterval: .seconds(60))
        let server = try Server(configuration: configuration, services: [EchoHandlers.plain], logger: Logger(label: "test"))
        try server.start()
        defer { server.shutdown() }
        let endpoint = server.endpoints[0]
        let (refused, welcomed) = try await onThread { () throws -> (RawPeer.Reply, Bool) in
            for _ in 0..<10 { try RawPeer(to: endpoint).greet() }
            let deadline = Deadline.after(.seconds(20))
            var peers: [RawPeer] = []
            while peers.count < 10, !deadline.hasPassed {
                let peer = try RawPeer(to: endpoint)
                if try peer.greet().header.type == .helloAck { peers.append(peer) } else { usleep(20_000) }
            }
            // Now the table is full of peers that are there.
            let refused = try RawPeer(to: endpoint).greet()
            return (refused, peers.count == 10)
        }
        #expect(welcomed && refused.error?.reason == "TOO_MANY_SESSIONS" && refused.error?.retryDelay != nil)
    }

    /// Asks until so many calls wait; answers to others are passed over.
    private func wait(for peer: RawPeer, untilQueued count: Int) throws {
        let deadline = Deadline.after(.seconds(20))
        while !deadline.hasPassed {
            try peer.send(FrameHeader(type: .ping))
            var reply = try peer.answer()
            while reply.header.type != .pong { reply = try peer.answer() }
            if try Runtime.Pong(serializedBytes: reply.payload).queueDepth == Int32(count) { return }
        }
    }

    /// A full queue refuses, and says when to come again.
    @Test func aFullQueueRefuses() async throws {
        let (entered, release) = (Semaphore(), Semaphore())
        var limits = ServerLimits()
        limits.maxQueuedPerMethod = 10
        let server = try RunningServer.start(EchoHandlers(.unary(concurrency: 1) { (request, _) throws(RPCError) in
            entered.signal()
            if request.payload == Array("hold".utf8) { release.wait() }
            return Echo.EchoResponse(payload: request.payload)
        }), limits: limits)
        defer { server.stop() }
        let endpoint = server.endpoint
        let replies = try await onThread { () throws -> [RawPeer.Reply] in
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            // A burst is admitted as a whole: so one by one, each after the one before was surely seen.
            for id in 1...20 {
                try peer.send(echoRequest(id: UInt64(id), budget: 60_000_000), try echoPayload("hold"))
                // A worker that is slow to begin would take several of them at once.
                if id == 1 { entered.wait() }
                try wait(for: peer, untilQueued: min(id - 1, 10))
            }
            for _ in 0..<20 { release.signal() }
            try peer.send(FrameHeader(type: .ping))
            return try (0..<12).map { _ in try peer.answer() }
        }
        #expect(replies.filter { $0.header.type == .response }.count == 11 && replies.allSatisfy { $0.error == nil })
        let stats = try await server.stats()
        #expect(stats.refusedCounts["QUEUE_FULL"] ?? 0 == 9, "\(stats)")
        try await server.expectSound()
    }
}
