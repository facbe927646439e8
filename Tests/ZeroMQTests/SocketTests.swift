import Testing
import ZeroMQ

@Suite struct SocketTests {
    /// Receives one frame, waiting up to five seconds for it.
    private func receive(_ socket: borrowing Socket) throws -> (bytes: [UInt8], isLast: Bool)? {
        var poller = Poller()
        _ = poller.add(socket)
        let frame = Frame()
        for _ in 0..<50 {
            switch try socket.receive(into: frame) {
            case .last: return (frame.bytes, true)
            case .more: return (frame.bytes, false)
            case .wouldBlock: try poller.wait(milliseconds: 100)
            }
        }
        return nil
    }

    @Test(arguments: [0, 1, 32, 33, 34, 100_000]) func aFrameArrivesWhole(count: Int) throws {
        let server = try Socket(.router)
        try server.bind("tcp://127.0.0.1:*")
        let client = try Socket(.dealer)
        try client.connect(try server.lastEndpoint())
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        #expect(try client.send(Frame(copying: payload), more: false) == .sent)
        #expect(try #require(try receive(server)).bytes.count == 5)
        let received = try #require(try receive(server))
        #expect(received.bytes == payload && received.isLast)
    }

    @Test func receivingWithoutAMessageIsAValueNotAnError() throws {
        let socket = try Socket(.pull)
        try socket.bind("tcp://127.0.0.1:*")
        #expect(try socket.receive(into: Frame()) == .wouldBlock)
    }

    /// ROUTER with MANDATORY: a reply to nobody is told, not dropped.
    @Test func z7_aReplyToNobodyIsTold() throws {
        let socket = try Socket(.router)
        try socket.set(.routerMandatory, 1)
        try socket.bind("tcp://127.0.0.1:*")
        #expect(try socket.send(Frame(copying: [0, 1, 2, 3, 4]), more: true) == .unreachable)
    }

    /// ROUTER with MANDATORY and DONTWAIT: a peer that does not read fills its own pipe, and the sender is told.
    @Test func z7_aPeerThatDoesNotReadIsTold() throws {
        let server = try Socket(.router)
        try server.set(.routerMandatory, 1)
        try server.set(.sendHighWaterMark, 10)
        try server.bind("tcp://127.0.0.1:*")
        let client = try Socket(.dealer)
        try client.set(.receiveHighWaterMark, 10)
        try client.connect(try server.lastEndpoint())
        #expect(try client.send(Frame(copying: [1]), more: false) == .sent)
        let peer = try #require(try receive(server)).bytes
        var outcomes: [Socket.SendOutcome] = []
        let megabyte = [UInt8](repeating: 0, count: 1 << 20)
        while outcomes.last != .wouldBlock && outcomes.count < 1000 {
            let outcome = try server.send(Frame(copying: peer), more: true)
            outcomes.append(outcome)
            if outcome == .sent { _ = try server.send(Frame(copying: megabyte), more: false) }
        }
        #expect(outcomes.last == .wouldBlock)
    }

    /// Up to 33 bytes lie inside the `zmq_msg_t`: its address, and with it theirs, stays the same wherever the frame goes.
    @Test(arguments: [0, 1, 29, 32, 33, 34, 1000]) func z15_contentStaysWhereItIs(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let frame = Frame(copying: bytes)
        let address = frame.unsafeBytes.baseAddress
        var moved = [frame]
        moved.reserveCapacity(100)
        let passed = { [moved] in moved[0] }()
        for _ in 0..<100 { _ = Frame(copying: [UInt8](repeating: 0xFF, count: count)) }
        #expect(passed.unsafeBytes.baseAddress == address && passed.bytes == bytes)
        // Received into again and again, it holds the last content only.
        let server = try Socket(.pull)
        try server.bind("tcp://127.0.0.1:*")
        let client = try Socket(.push)
        try client.connect(try server.lastEndpoint())
        for value: UInt8 in [1, 2, 3] { #expect(try client.send(Frame(copying: [UInt8](repeating: value, count: count)), more: false) == .sent) }
        for value: UInt8 in [1, 2, 3] {
            #expect(try #require(try receive(server)).bytes == [UInt8](repeating: value, count: count))
        }
    }

    @Test func errorsSayWhatWasDone() throws {
        let first = try Socket(.router)
        try first.bind("tcp://127.0.0.1:*")
        let endpoint = try first.lastEndpoint()
        let second = try Socket(.router)
        let error = #expect(throws: ZeroMQError.self) { try second.bind(endpoint) }
        #expect(error?.isAddressInUse == true)
        #expect(error.map { "\($0)".contains("bind \(endpoint): Address already in use") } == true)
        #expect(throws: ZeroMQError.self) { try second.connect("carrier-pigeon://") }
    }

    @Test func aSharedCopyOutlivesItsOriginal() {
        var frame: Frame? = Frame(copying: [UInt8](repeating: 7, count: 1000))
        let copy = frame?.sharedCopy()
        frame = nil
        #expect(copy?.bytes == [UInt8](repeating: 7, count: 1000))
    }
}
