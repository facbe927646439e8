import ProtoEcho
import Protobuf
import ProtoRuntime
import RPC
import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// What a caller is told about whether its call ran is true.
@Suite(.blocking) struct DispositionTests {
    /// Calls are given up while a worker takes them, which lasts a while for a large batch.
    @Test func whatIsSaidNotToHaveRunDidNotRun() throws {
        let ran = Shared<Set<UInt64>>([])
        let server = try RunningServer.start(EchoHandlers(.gathered(concurrency: 2) { calls in
            ran.withLock { ran in
                for call in calls { ran.insert(UInt64(String(decoding: call.request.payload, as: UTF8.self)) ?? 0) }
            }
            for call in calls { call.reply(Echo.EchoResponse(payload: call.request.payload)) }
        }))
        defer { server.stop() }
        let socket = try Socket(.dealer)
        try socket.connect(server.endpoint)
        try send(FrameHeader(type: .hello), Runtime.Hello(minVersion: 1, maxVersion: 1, clientName: "hasty"), on: socket)
        var denied: Set<UInt64> = []
        var answered = 0
        for round in 0..<Self.rounds {
            let ids = (1...Self.burst).map { UInt64(round * Self.burst + $0) }
            for id in ids {
                let header = FrameHeader.request(
                    callID: id, method: Echo.EchoService.echo.id, sentAt: MonotonicTime.now.microseconds, budget: 20_000_000,
                    extensionLength: 0)
                try send(header, Echo.EchoRequest(payload: Array("\(id)".utf8)), on: socket)
            }
            for id in ids {
                var header = FrameHeader(type: .cancel)
                header.id = id
                try send(header, Echo.EchoRequest(), on: socket)
            }
            while answered < (round + 1) * Self.burst {
                let header = try receive(from: socket)
                guard header.type == .response else { continue }
                answered += 1
                if header.disposition == .notExecuted { denied.insert(header.id) }
            }
        }
        #expect(!denied.isEmpty)
        #expect(ran.value.intersection(denied) == [])
    }

    private static let rounds = 100
    private static let burst = 200

    private func send(_ header: FrameHeader, _ message: some Message, on socket: borrowing Socket) throws {
        while try socket.send(Frame(copying: header.bytes), more: true) != .sent { try wait(for: socket) }
        _ = try socket.send(Frame(copying: message.serializedBytes()), more: false)
    }

    private func receive(from socket: borrowing Socket) throws -> FrameHeader {
        let frame = Frame()
        while try socket.receive(into: frame) == .wouldBlock { try wait(for: socket) }
        let header = try FrameHeader(frame.unsafeBytes)
        while try socket.receive(into: frame) == .more {}
        return header
    }

    private func wait(for socket: borrowing Socket) throws {
        var poller = Poller()
        _ = poller.add(socket)
        try poller.wait(milliseconds: 10)
    }
}
