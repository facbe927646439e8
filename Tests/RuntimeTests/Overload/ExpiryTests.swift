import Glibc
import ProtoEcho
import ProtoRuntime
import RPC
import RPCClient
import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// Calls whose time is over: found at the first place that looks, counted there, and not worked on.
@Suite struct ExpiryTests {
    /// What a call of the echo service does, and where its time is then found to be over.
    struct Case: Sendable, CustomTestStringConvertible {
        let place: String
        let disposition: Disposition
        var budget: UInt32 = 60_000
        /// How long the request says to have been on its way.
        var age: UInt64 = 0
        /// Whether another call holds the only worker.
        var isHeldUp = false
        let handler: @Sendable (CallContext) throws(RPCError) -> Void
        var testDescription: String { place }
    }

    static let cases = [
        Case(place: "arrival", disposition: .notExecuted, age: 100_000) { _ in },
        Case(place: "queue", disposition: .notExecuted, isHeldUp: true) { _ in },
        Case(place: "handler", disposition: .maybe) { _ in usleep(150_000) },
        Case(place: "database", disposition: .notExecuted) { _ throws(RPCError) in
            throw .deadlineExceeded(at: "database", disposition: .notExecuted)
        },
    ]

    @Test(arguments: cases) func isFoundAndCountedByPlace(_ it: Case) async throws {
        let release = Semaphore()
        let entered = Gate()
        let server = try RunningServer.start(EchoHandlers(.unary(concurrency: 1) { (request, context) throws(RPCError) in
            switch request.payload {
            case Array("hold".utf8):
                entered.open()
                release.wait()
            case Array("tested".utf8): try it.handler(context)
            default: break
            }
            return Echo.EchoResponse(payload: request.payload)
        }))
        defer { server.stop() }
        let endpoint = server.endpoint
        let reply = try await onThread { () throws -> RawPeer.Reply in
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            // The fastest request stands for the offset of the clocks.
            try peer.send(echoRequest(id: 1), try echoPayload("x"))
            _ = try peer.answer()
            if it.isHeldUp { try peer.send(echoRequest(id: 2, budget: 60_000_000), try echoPayload("hold")) }
            let sentAt = MonotonicTime.now.microseconds - it.age
            try peer.send(echoRequest(id: 3, sentAt: sentAt, budget: it.budget), try echoPayload("tested"))
            return try peer.answer()
        }
        release.signal()
        #expect(reply.error?.code == .deadlineExceeded && reply.error?.metadata["place"] == it.place, "\(reply)")
        #expect(reply.error?.disposition == it.disposition)
        let stats = try await server.stats()
        #expect(stats.expiredCounts == [it.place: 1])
        try await server.expectSound()
    }

    /// Calls that have less time left than nearly all of them need are not begun; and a method that was slow for a while is
    /// tried again.
    @Test func whatCannotBeDoneInTimeIsNotBegun() async throws {
        let ran = Shared(0)
        let pause = Shared<UInt32>(80_000)
        let server = try RunningServer.start(EchoHandlers(.unary { (request, _) throws(RPCError) in
            ran.withLock { $0 += 1 }
            usleep(pause.value)
            return Echo.EchoResponse(payload: request.payload)
        }), workers: 8)
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<128 { group.addTask { _ = try await channel.echo("x", timeout: .seconds(30)) } }
            try await group.waitForAll()
        }
        let before = ran.value
        let endpoint = server.endpoint
        let hopeless = try await onThread { () throws -> RawPeer.Reply in
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            try peer.send(echoRequest(id: 1, budget: 50_000), try echoPayload("x"))
            return try peer.answer()
        }
        #expect(hopeless.error?.metadata["place"] == "gathering" && hopeless.error?.disposition == .notExecuted, "\(hopeless)")
        #expect(ran.value == before)
        // The method is fast again, which nobody knows: calls get through soon all the same.
        pause.withLock { $0 = 0 }
        let answered = try await onThread { () throws -> Bool in
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            for id in 1...200 as ClosedRange<UInt64> {
                try peer.send(echoRequest(id: id, budget: 50_000), try echoPayload("x"))
                if try peer.answer().error == nil { return true }
            }
            return false
        }
        #expect(answered)
        try await server.expectSound()
    }

    /// Handlers that wait for a database that is away take long to say so. The calls after them are not refused for that: they hear
    /// that it is away, too.
    @Test func whatIsAwayDoesNotMakeCallsLookDear() async throws {
        let pause = Shared<UInt32>(200_000)
        let server = try RunningServer.start(EchoHandlers(.unary(concurrency: 1) { (request, _) throws(RPCError) in
            let pause = pause.value
            usleep(pause)
            if pause == 0 { return Echo.EchoResponse(payload: request.payload) }
            throw RPCError(.unavailable, reason: "AWAY", "it is away", disposition: .notExecuted)
        }))
        defer { server.stop() }
        var configuration = ChannelConfiguration.patient
        configuration.retry = .never
        let channel = try server.channel(configuration: configuration)
        defer { channel.close() }
        for _ in 0..<5 { #expect(await failure { () throws(RPCError) in try await channel.echo("x") }?.reason == "AWAY") }
        pause.withLock { $0 = 1000 }
        let reasons = await withTaskGroup(of: String?.self) { group in
            for _ in 0..<50 {
                group.addTask { await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(9)) }?.reason }
            }
            return await group.reduce(into: Set<String?>()) { $0.insert($1) }
        }
        #expect(reasons == ["AWAY"])
        pause.withLock { $0 = 0 }
        try await server.expectSound()
    }

    /// A handler that decides when the time is over has its answer thrown away unencoded, and it is said that it ran. Where the
    /// frontend was faster, nobody can tell.
    @Test func anAnswerThatComesTooLateIsNotEncoded() async throws {
        let server = try RunningServer.start(EchoHandlers(.unary { (request, context) throws(RPCError) in
            while !context.deadline.hasPassed {}
            return Echo.EchoResponse(payload: request.payload)
        }))
        defer { server.stop() }
        let endpoint = server.endpoint
        let replies = try await onThread { () throws -> [RawPeer.Reply] in
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            var replies: [RawPeer.Reply] = []
            for id in 1...200 as ClosedRange<UInt64> where !replies.contains(where: { $0.error?.metadata["place"] == "encoding" }) {
                try peer.send(echoRequest(id: id, budget: 3000), try echoPayload("x"))
                replies.append(try peer.answer())
            }
            return replies
        }
        #expect(replies.allSatisfy { $0.error?.code == .deadlineExceeded })
        let found = try #require(replies.last?.error)
        #expect(found.metadata["place"] == "encoding" && found.disposition == .executed, "\(replies.map { $0.error?.metadata["place"] })")
        #expect(try await server.stats().expiredCounts["encoding"] == 1)
    }

    /// A server that stood still for longer than its calls had does none of their work afterwards, with however many waiting.
    @Test func aServerThatStoodStillDropsWhatIsOver() async throws {
        let process = try PeerProcess("echo-server")
        defer { process.end() }
        let count = 5000
        let endpoint = process.endpoint
        let places = try await onThread { () throws -> [String?] in
            let peers = try (0..<5).map { _ in try RawPeer(to: endpoint) }
            for peer in peers {
                try peer.greet()
                // The fastest request stands for the offset of the clocks: one of them is fast on a busy machine, too.
                for id in 1...20 as ClosedRange<UInt64> {
                    try peer.send(echoRequest(id: id), try echoPayload("x"))
                    _ = try peer.answer()
                }
            }
            try process.stopAllThreads()
            for (index, peer) in peers.enumerated() {
                for id in 21...count / 5 + 20 {
                    try peer.send(echoRequest(id: UInt64(index * count + id), budget: 1_000_000), try echoPayload("x"))
                }
            }
            usleep(2_000_000)
            process.signal(SIGCONT)
            return try peers.flatMap { peer in try (0..<count / 5).map { _ in try peer.answer().error?.metadata["place"] } }
        }
        #expect(places.count == count && places.allSatisfy { $0 != nil }, "\(Set(places))")
    }
}
