import ProtoEcho
import RPC
import RPCServer
import Synchronization
import TestSupport
import Testing
import ZeroMQ

/// Interceptors of a server: told of each call's beginning and end, once each, whatever becomes of it.
@Suite struct ServerInterceptorTests {
    /// Writes down what it is told.
    private final class Recorder: Interceptor {
        struct Entry: Sendable, Equatable {
            var begun = 0
            var ended: [StatusCode] = []
        }
        let name: String
        let log: Shared<[String]>
        let calls = Shared<[String: Entry]>([:])
        let refusing: RPCError?

        init(_ name: String, log: Shared<[String]> = Shared([]), refusing: RPCError? = nil) {
            self.name = name
            self.log = log
            self.refusing = refusing
        }

        func callWillStart(_ call: inout InterceptedCall) throws(RPCError) {
            if let refusing { throw refusing }
            log.withLock { $0.append("\(name) begins") }
            calls.withLock { $0[Self.id(call), default: Entry()].begun += 1 }
            call.metadata.append(("seen-by", name))
            call.traceparent = "of \(name)"
        }

        func callDidEnd(_ call: InterceptedCall, _ outcome: CallOutcome) {
            log.withLock { $0.append("\(name) ends") }
            calls.withLock { $0[Self.id(call), default: Entry()].ended.append(outcome.code) }
        }

        private static func id(_ call: InterceptedCall) -> String { call.metadata.first { $0.key == "id" }?.value ?? "" }
    }

    @Test func theFirstBeginsFirstAndEndsLastAndTheHandlerSeesTheirChanges() async throws {
        let log = Shared<[String]>([])
        let seen = Shared<[String]>([])
        let server = try RunningServer.start(EchoHandlers(.unary { (request, context) throws(RPCError) in
            log.withLock { $0.append("handler") }
            seen.withLock { $0 = context.metadata.map { "\($0.key)=\($0.value)" } + [context.traceparent ?? "none"] }
            return Echo.EchoResponse(payload: request.payload)
        }), interceptors: [Recorder("a", log: log), Recorder("b", log: log)])
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        _ = try await channel.echo.echo(Echo.EchoRequest(), options: CallOptions(metadata: [("id", "1")]))
        #expect(log.value == ["a begins", "b begins", "handler", "b ends", "a ends"])
        #expect(seen.value == ["id=1", "seen-by=a", "seen-by=b", "of b"])
    }

    @Test func oneThatRefusesEndsTheCallBeforeTheHandler() async throws {
        let log = Shared<[String]>([])
        let refusal = RPCError(.permissionDenied, reason: "NOT_TODAY", "not today")
        let server = try RunningServer.start(EchoHandlers(.unary { (request, _) throws(RPCError) in
            log.withLock { $0.append("handler") }
            return Echo.EchoResponse(payload: request.payload)
        }), interceptors: [Recorder("a", log: log), Recorder("b", refusing: refusal), Recorder("c", log: log)])
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        let error = await failure { () throws(RPCError) in try await channel.echo("x") }
        #expect(error?.code == .permissionDenied && error?.reason == "NOT_TODAY" && error?.disposition == .notExecuted)
        #expect(log.value == ["a begins", "a ends"])
    }

    /// Answered, failed, expired while they wait or run, cancelled, left behind by a caller that goes: each that began ends once.
    @Test(arguments: Seeds.fresh(2)) func whateverBecomesOfACallItsEndIsToldOnce(seed: UInt64) async throws {
        let recorder = Recorder("a")
        let release = Semaphore()
        let server = try RunningServer.start(EchoHandlers(.unary(concurrency: 2) { (request, _) throws(RPCError) in
            switch request.payload.first {
            case UInt8(ascii: "f"): throw RPCError(.notFound, reason: "NOTHING", "nothing")
            case UInt8(ascii: "h"): release.wait()
            default: break
            }
            return Echo.EchoResponse(payload: request.payload)
        }), interceptors: [recorder])
        defer { server.stop() }
        let endpoint = server.endpoint
        let held = try await onThread { () throws -> Int in
            var random = SeededGenerator(seed: seed)
            let peer = try RawPeer(to: endpoint)
            try peer.greet()
            var held = 0
            for id in 1...400 as ClosedRange<UInt64> {
                let kind = ["a", "a", "a", "f", "h"].randomElement(using: &random) ?? "a"
                if kind == "h" { held += 1 }
                let tlvs = try #require(HeaderExtension(metadata: [("id", "\(id)")]).encoded())
                let budget = UInt32.random(in: 1000...100_000, using: &random)
                let header = echoRequest(id: id, budget: budget, extensionLength: tlvs.count)
                try peer.send(header, extensions: tlvs, try echoPayload(kind))
                if Int.random(in: 0..<3, using: &random) == 0 {
                    var cancel = FrameHeader(type: .cancel)
                    cancel.id = UInt64.random(in: 1...id, using: &random)
                    try peer.send(cancel)
                }
                if Int.random(in: 0..<4, using: &random) == 0 { release.signal() }
            }
            // All has been read; then it goes, with a BYE or without.
            try peer.send(FrameHeader(type: .ping))
            while try peer.answer().header.type != .pong {}
            if Bool.random(using: &random) { try peer.send(FrameHeader(type: .bye)) }
            return held
        }
        for _ in 0..<held { release.signal() }
        let hasEnded = try await eventually { recorder.calls.value.values.allSatisfy { $0.begun == 1 && $0.ended.count == 1 } }
        #expect(hasEnded, "\(recorder.calls.value.filter { $0.value.begun != 1 || $0.value.ended.count != 1 })")
        #expect(!recorder.calls.value.isEmpty)
        try await server.expectSound()
    }
}
