import Glibc
import ProtoEcho
import RPC
import RPCServer
import Synchronization
import TestSupport
import Testing
import ZeroMQ

/// A caller that asks learns where its call's time went in the server; one that does not gets the same bytes as ever.
@Suite struct StageTimingsTests {
    struct Setting: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let handler: Handler<Echo.EchoRequest, Echo.EchoResponse>
        /// Whether the handler's thread is the one that answers.
        var answersElsewhere = false
    }

    /// What this thread has pretended to wait for a database.
    private final class PretendedDatabase: Sendable {
        private let totals = Mutex<[pthread_t: Duration]>([:])

        var ofThisThread: Duration { totals.withLock { $0[pthread_self(), default: .zero] } }
        func wait() { totals.withLock { $0[pthread_self(), default: .zero] += .milliseconds(7) } }
    }
    private static let database = PretendedDatabase()

    private static func work(_ request: Echo.EchoRequest) -> Echo.EchoResponse {
        usleep(20_000)
        database.wait()
        return Echo.EchoResponse(payload: request.payload)
    }

    static let settings = [
        Setting(testDescription: "unary", handler: .unary { (request, _) throws(RPCError) in work(request) }),
        Setting(testDescription: "coalesced", handler: .coalesced { (request, _) throws(RPCError) in work(request) }),
        Setting(testDescription: "gathered", handler: .gathered { calls in for call in calls { call.reply(work(call.request)) } }),
        Setting(testDescription: "parked, answered at once", handler: .parked { call in call.reply(work(call.request)) }),
        Setting(testDescription: "parked, answered by another thread", handler: .parked { call in
            startThread {
                usleep(20_000)
                call.context.addDatabaseTime(.milliseconds(7))
                call.reply(Echo.EchoResponse(payload: call.request.payload))
            }
        }),
        Setting(testDescription: "a failure", handler: .unary { (request, _) throws(RPCError) -> Echo.EchoResponse in
            _ = work(request)
            throw RPCError(.notFound, reason: "NOTHING", "nothing")
        }),
    ]

    @Test(arguments: settings) func whoAsksIsTold(_ setting: Setting) async throws {
        let server = try RunningServer.start(EchoHandlers(setting.handler), databaseTime: { Self.database.ofThisThread })
        defer { server.stop() }
        let endpoint = server.endpoint
        let (told, untold) = try await onThread { () throws -> (RawPeer.Reply, RawPeer.Reply) in
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            var request = echoRequest(id: 1)
            request.flags = FrameHeader.wantsTimings
            try peer.send(request, try echoPayload("x"))
            let told = try peer.answer()
            try peer.send(echoRequest(id: 2), try echoPayload("x"))
            return (told, try peer.answer())
        }
        let timings = try #require(try told.extensions.timings)
        #expect(timings.handler >= .milliseconds(20) && timings.database == .milliseconds(7), "\(timings)")
        #expect(timings.queued < .seconds(10) && timings.decoded < .seconds(10) && timings.encoded < .seconds(10), "\(timings)")
        #expect(untold.header.extensionLength == 0 && untold.tlvs.isEmpty)
        #expect(untold.payload == told.payload)
        try await server.expectSound(normalCallWorks: setting.testDescription != "a failure")
    }

    /// What is answered by the deadline says how long it waited, and that nothing was done.
    @Test func aCallThatExpiredInTheQueueHasOnlyWaited() async throws {
        let release = Semaphore()
        let server = try RunningServer.start(EchoHandlers(.unary(concurrency: 1) { (request, _) throws(RPCError) in
            if request.payload == Array("hold".utf8) { release.wait() }
            return Echo.EchoResponse(payload: request.payload)
        }))
        defer { server.stop() }
        let endpoint = server.endpoint
        let reply = try await onThread { () throws -> RawPeer.Reply in
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            try peer.send(echoRequest(id: 1, budget: 60_000_000), try echoPayload("hold"))
            var request = echoRequest(id: 2, budget: 50_000)
            request.flags = FrameHeader.wantsTimings
            try peer.send(request, try echoPayload("x"))
            return try peer.answer()
        }
        release.signal()
        let timings = try #require(try reply.extensions.timings)
        #expect(reply.error?.code == .deadlineExceeded)
        #expect(timings.queued >= .milliseconds(45) && timings.handler == .zero && timings.database == .zero, "\(timings)")
    }
}
