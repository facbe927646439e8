import Logging
import ProtoEcho
import ProtoRuntime
import Protobuf
import RPC
import RPCServer
import EmbeddedMongoDB
import TestSupport
import Testing
import ZeroMQ

/// Peers that keep the limits, and are slow or impolite.
@Suite(.blocking) struct QuietPeerTests {
    /// Nobody says BYE: the server waits for a moment only, whatever its heartbeat.
    @Test func aServerEndsWithoutItsClientsFarewell() throws {
        let server = try Server(
            configuration: ServerConfiguration(listen: ["tcp://127.0.0.1:\(PortPicker.free())"], heartbeatInterval: .seconds(60)),
            services: [EchoHandlers.plain], logger: Logger(label: "test"))
        try server.start()
        let peer = try QuietPeer(server.endpoints[0])
        #expect(try peer.receive().type == .helloAck)
        let start = MonotonicTime.now
        server.shutdown()
        #expect(MonotonicTime.now.microseconds(since: start) < 10_000_000)
        #expect(try peer.receive().type == .drain)
        #expect(try peer.receive().type == .bye)
    }

    /// A client reads some answers, so that libzmq's count of its pipe lags behind, then asks for all it may and pauses.
    @Test func noAnswerToAnHonestClientIsLostWhileItPauses() throws {
        var limits = ServerLimits()
        limits.maxInFlightPerSession = 40
        limits.controlFrameReserve = 4
        // Large, so that the kernel's buffers hold a few only.
        let large = Echo.EchoResponse(payload: [UInt8](repeating: 0x5A, count: 1 << 20))
        let server = try RunningServer.start(
            EchoHandlers(.unary { (request, _) throws(RPCError) in request.payload.isEmpty ? large : .init() }), limits: limits)
        defer { server.stop() }
        let peer = try QuietPeer(server.endpoint)
        #expect(try peer.receive().type == .helloAck)
        for id in 1...UInt64(Self.before) {
            try peer.echo(id: id, payload: [1])
            #expect(try peer.receive().id == id)
        }
        let ids = Set((1...UInt64(limits.maxInFlightPerSession)).map { UInt64(Self.before) + $0 })
        for id in ids { try peer.echo(id: id, payload: []) }

        let auditor = try QuietPeer(server.endpoint)
        #expect(try auditor.receive().type == .helloAck)
        let expected = Int64(Self.before + ids.count)
        var stats = Runtime.StatsResponse()
        var question: UInt64 = 0
        // The question itself is in flight.
        repeat {
            question += 1
            try auditor.request(id: question, method: Runtime.RuntimeService.stats.id, [])
            #expect(try auditor.receive().id == question)
            stats = try Runtime.StatsResponse(serializedBytes: auditor.payload)
        } while stats.receivedCount < expected || stats.inFlightCount > 1
        #expect(stats.droppedCounts == [:])

        var received: Set<UInt64> = []
        while received.count < ids.count, stats.droppedCounts.isEmpty { received.insert(try peer.receive().id) }
        #expect(received == ids)
    }

    /// More than the reserve, and far fewer than half of the pipe.
    private static let before = 8
}

/// A client that reads when it is told to, and no sooner. Belongs to the thread of its test.
private final class QuietPeer {
    private let socket: Socket
    private let frame = Frame()

    init(_ endpoint: String) throws {
        socket = try Socket(.dealer)
        // Nothing but what the kernel holds is read ahead.
        try socket.set(.receiveHighWaterMark, 1)
        try socket.connect(endpoint)
        try send(FrameHeader(type: .hello), try Runtime.Hello(minVersion: 1, maxVersion: 1, clientName: "quiet").serializedBytes())
    }

    func echo(id: UInt64, payload: [UInt8]) throws {
        try request(id: id, method: Echo.EchoService.echo.id, try Echo.EchoRequest(payload: payload).serializedBytes())
    }

    func request(id: UInt64, method: UInt32, _ payload: [UInt8]) throws {
        let header = FrameHeader.request(
            callID: id, method: method, sentAt: MonotonicTime.now.microseconds, budget: 60_000_000, extensionLength: 0)
        try send(header, payload)
    }

    /// The header of the next message, whose payload is in `payload` then.
    func receive() throws -> FrameHeader {
        while try socket.receive(into: frame) == .wouldBlock { try wait() }
        let header = try FrameHeader(frame.unsafeBytes)
        while try socket.receive(into: frame) == .more {}
        return header
    }

    var payload: [UInt8] { frame.bytes }

    private func send(_ header: FrameHeader, _ payload: [UInt8]) throws {
        while try socket.send(Frame(copying: header.bytes), more: true) != .sent { try wait() }
        _ = try socket.send(Frame(copying: payload), more: false)
    }

    private func wait() throws {
        var poller = Poller()
        _ = poller.add(socket)
        try poller.wait(milliseconds: 10)
    }
}
