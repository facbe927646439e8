import EmbeddedMongoDB
import ProtoEcho
import ProtoRuntime
import RPC
import RPCClient
import TestSupport
import Testing
import ZeroMQ

/// Servers that do not keep to the protocol: the client's calls end, each once, and its thread sleeps.
@Suite struct HostileServerTests {
    /// A ROUTER that says what a test wants. Belongs to one thread.
    private final class RawServer {
        private let socket: Socket

        init(port: UInt16) throws {
            socket = try Socket(.router)
            try socket.bind("tcp://127.0.0.1:\(port)")
        }

        /// The next message, and who sent it; nil where none comes in time.
        func receive(milliseconds: Int = 30_000) throws -> (peer: [UInt8], header: FrameHeader)? {
            var poller = Poller()
            _ = poller.add(socket)
            let frame = Frame()
            let deadline = Deadline.after(.milliseconds(milliseconds))
            while try socket.receive(into: frame) == .wouldBlock {
                if deadline.hasPassed { return nil }
                try poller.wait(milliseconds: 10)
            }
            let peer = frame.bytes
            _ = try socket.receive(into: frame)
            let header = try FrameHeader(frame.unsafeBytes)
            _ = try socket.receive(into: frame)
            return (peer, header)
        }

        /// The next message of this type; others are passed over.
        func receive(_ type: FrameType) throws -> (peer: [UInt8], header: FrameHeader) {
            while let message = try receive() { if message.header.type == type { return message } }
            throw RawPeer.NoAnswer()
        }

        func send(_ frames: [[UInt8]], to peer: [UInt8]) throws {
            for (index, frame) in ([peer] + frames).enumerated() { _ = try socket.send(Frame(copying: frame), more: index < frames.count) }
        }

        func acknowledge(_ peer: [UInt8], _ change: (inout Runtime.HelloAck) -> Void = { _ in }) throws {
            var ack = Runtime.HelloAck(version: 1, sessionId: 1, serverEpoch: 1, identity: "tester", heartbeatIntervalMs: 1000)
            ack.limits = Runtime.SessionLimits(maxInFlight: 100, maxRequestBytes: 1000, maxResponseBytes: 1000)
            change(&ack)
            try send([FrameHeader(type: .helloAck).bytes, try ack.serializedBytes()], to: peer)
        }

        func respond(_ header: FrameHeader, _ text: String, to peer: [UInt8]) throws {
            let response = FrameHeader.response(callID: header.id, epoch: 1, queued: 0, served: 0, status: .ok, disposition: .executed)
            try send([response.bytes, try Echo.EchoResponse(payload: Array(text.utf8)).serializedBytes()], to: peer)
        }

        func fail(_ header: FrameHeader, _ error: RPCError, to peer: [UInt8]) throws {
            let response = FrameHeader.response(
                callID: header.id, epoch: 1, queued: 0, served: 0, status: error.code, disposition: error.disposition)
            try send([response.bytes, error.statusPayload()], to: peer)
        }
    }

    /// Runs `server` on a thread and `client` beside it.
    private func play<Outcome: Sendable>(
        _ server: @escaping @Sendable (RawServer) throws -> Void, _ client: (Channel) async throws -> Outcome
    ) async throws -> Outcome {
        let port = PortPicker.free()
        let isHeard = Semaphore()
        let playing = Task {
            try await onThread {
                let socket = try RawServer(port: port)
                try server(socket)
                // What it said last is on its way until the client has it.
                isHeard.wait()
            }
        }
        let channel = try Channel(to: "tcp://127.0.0.1:\(port)", name: "tester", configuration: .patient)
        defer { channel.close() }
        do {
            let outcome = try await client(channel)
            isHeard.signal()
            try await playing.value
            return outcome
        } catch {
            isHeard.signal()
            throw error
        }
    }

    @Test func whatIsNoAnswerIsPassedOver() async throws {
        let answer = try await play({ server in
            let (peer, _) = try server.receive(.hello)
            try server.acknowledge(peer)
            let (_, request) = try server.receive(.request)
            for frames in [[[]], [[], []], [[1, 2, 3]], [request.bytes], [request.bytes, [], []], [Array(repeating: 0xFF, count: 40), []]] as [[[UInt8]]] {
                try server.send(frames, to: peer)
            }
            for type in FrameType.allCases where ![.drain, .bye, .response, .helloAck, .protocolError].contains(type) {
                try server.send([FrameHeader(type: type).bytes, [1, 2, 3]], to: peer)
            }
            // Answers to calls that were never made.
            for id in [0, 1, request.id + 1, request.id ^ 0xFFFF, request.id + 0x10000, .max] {
                var other = request
                other.id = id
                try server.respond(other, "wrong", to: peer)
            }
            try server.respond(request, "right", to: peer)
            // Again: the call is over.
            try server.respond(request, "late", to: peer)
        }) { channel in try await channel.echo("x", timeout: .seconds(30)) }
        #expect(answer == "right")
    }

    /// Terms that make no sense do no harm.
    @Test(arguments: [
        Runtime.SessionLimits(maxInFlight: 0, maxRequestBytes: 1000), Runtime.SessionLimits(maxInFlight: -1, maxRequestBytes: 1000),
        Runtime.SessionLimits(maxInFlight: .max, maxRequestBytes: .max),
    ]) func anyTermsAreSurvived(_ limits: Runtime.SessionLimits) async throws {
        let answer = try await play({ server in
            let (peer, _) = try server.receive(.hello)
            try server.acknowledge(peer) {
                $0.limits = limits
                $0.heartbeatIntervalMs = -5
            }
            let (_, request) = try server.receive(.request)
            try server.respond(request, "right", to: peer)
        }) { channel in try await channel.echo("x", timeout: .seconds(30)) }
        #expect(answer == "right")
    }

    /// An answer that cannot be read is a failure of that call.
    @Test func anUnreadableAnswerIsSaid() async throws {
        let error = try await play({ server in
            let (peer, _) = try server.receive(.hello)
            try server.acknowledge(peer)
            let (_, request) = try server.receive(.request)
            let response = FrameHeader.response(callID: request.id, epoch: 1, queued: 0, served: 0, status: .ok, disposition: .executed)
            try server.send([response.bytes, [0xFF, 0xFF]], to: peer)
        }) { channel in await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(30)) } }
        #expect(error?.code == .internalError && error?.reason == "MALFORMED_RESPONSE" && error?.disposition == .executed)
    }

    /// A HELLO that is refused is repeated while calls keep coming, until it is accepted.
    @Test func aRefusedHelloIsRepeatedUnderLoad() async throws {
        let wasTold = Shared(false)
        let (first, last) = try await play({ server in
            var (peer, _) = try server.receive(.hello)
            let refusal = RPCError(.resourceExhausted, reason: "TOO_MANY_SESSIONS", "full", disposition: .notExecuted)
            var header = FrameHeader(type: .protocolError)
            header.word28 = UInt32(refusal.code.rawValue) | UInt32(refusal.disposition.rawValue) << 8
            // The first HELLO may be there before the first call.
            while !wasTold.value {
                try server.send([header.bytes, refusal.statusPayload()], to: peer)
                peer = try server.receive(.hello).peer
            }
            try server.acknowledge(peer)
            let (_, request) = try server.receive(.request)
            try server.respond(request, "welcome", to: peer)
        }) { channel in
            let first = await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(30)) }
            wasTold.withLock { $0 = true }
            // One at a time, and never none for longer than a moment: as under load.
            var answer: String?
            for _ in 0..<20 where answer == nil {
                do throws(RPCError) {
                    answer = try await channel.echo("x", timeout: .seconds(30))
                } catch {
                    #expect(error.disposition == .notExecuted, "\(error)")
                }
            }
            return (first, answer)
        }
        #expect(first?.reason == "TOO_MANY_SESSIONS" && last == "welcome")
    }

    /// A call that was cancelled is not sent again when the server says that it did not run.
    @Test func aCancelledCallIsNotSentAgain() async throws {
        let sent = Gate()
        let (error, answer) = try await play({ server in
            let (peer, _) = try server.receive(.hello)
            try server.acknowledge(peer)
            let (_, request) = try server.receive(.request)
            sent.open()
            _ = try server.receive(.cancel)
            try server.fail(request, RPCError(.unavailable, reason: "SESSION_UNKNOWN", "who?", disposition: .notExecuted), to: peer)
            _ = try server.receive(.hello)
            try server.acknowledge(peer)
            let (_, next) = try server.receive(.request)
            try server.respond(next, "next", to: peer)
        }) { channel in
            let call = Task { await failure { () throws(RPCError) in try await channel.echo("cancelled", timeout: .seconds(30)) } }
            await sent.wait()
            call.cancel()
            let error = await call.value
            return (error, try await channel.echo("x", timeout: .seconds(30)))
        }
        #expect(error?.code == .cancelled && error?.disposition == .notExecuted && answer == "next")
    }

    /// A handler's own failure with the runtime's words is no reason to run the call twice.
    @Test func aCallThatRanIsNotSentAgain() async throws {
        let error = try await play({ server in
            let (peer, _) = try server.receive(.hello)
            try server.acknowledge(peer)
            let (_, request) = try server.receive(.request)
            try server.fail(request, RPCError(.unavailable, reason: "SESSION_UNKNOWN", "odd", disposition: .executed), to: peer)
        }) { channel in await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(30)) } }
        #expect(error?.reason == "SESSION_UNKNOWN" && error?.disposition == .executed)
    }

    /// SHUTTING_DOWN without DRAIN: the client parts, and does not send the call again and again at full speed.
    @Test func aServerThatOnlyRefusesIsParted() async throws {
        let requests = Shared(0)
        let error = try await play({ server in
            let (peer, _) = try server.receive(.hello)
            try server.acknowledge(peer)
            while let (peer, header) = try server.receive() {
                if header.type == .bye { return }
                guard header.type == .request else { continue }
                requests.withLock { $0 += 1 }
                try server.fail(header, RPCError(.unavailable, reason: "SHUTTING_DOWN", "no", disposition: .notExecuted), to: peer)
            }
        }) { channel in await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(6)) } }
        #expect(error?.disposition == .notExecuted)
        #expect(requests.value == 1)
    }
}
