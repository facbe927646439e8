import ProtoRuntime
import RPC
import TestSupport
import Testing
import ZeroMQ

/// A peer that speaks ZMTP and says whatever a test wants. Belongs to one thread: see `onThread`.
final class RawPeer {
    let socket: Socket

    /// What came back: its header, and what the payload says where it is a failure.
    struct Reply: Sendable, Equatable {
        let header: FrameHeader
        var tlvs: [UInt8] = []
        let payload: [UInt8]

        /// What the header's TLVs say.
        var extensions: HeaderExtension {
            get throws { try tlvs.withUnsafeBytes { (bytes) throws(HeaderExtension.Defect) in try HeaderExtension(bytes) } }
        }

        /// The failure; nil for a success.
        var error: RPCError? {
            guard header.type == .protocolError || header.status != .ok else { return nil }
            return payload.withUnsafeBytes { RPCError(header: header, payload: $0) }
        }
    }

    struct NoAnswer: Error {}

    init(_ kind: Socket.Kind = .dealer, routingID: String? = nil, to endpoint: String) throws {
        socket = try Socket(kind)
        if let routingID { try socket.set(.routingID, routingID) }
        try socket.connect(endpoint)
    }

    /// Sends a message of these frames.
    func send(_ frames: [[UInt8]]) throws {
        for (index, frame) in frames.enumerated() {
            while try socket.send(Frame(copying: frame), more: index < frames.count - 1) != .sent { try wait(milliseconds: 1) }
        }
    }

    /// Sends a message of a header and a payload.
    func send(_ header: FrameHeader, extensions: [UInt8] = [], _ payload: [UInt8] = []) throws {
        try send([header.bytes + extensions, payload])
    }

    /// The next message with a header, or nil where none comes in time.
    func receive(milliseconds: Int = 30_000) throws -> Reply? {
        let frame = Frame()
        let deadline = Deadline.after(.milliseconds(milliseconds))
        while try socket.receive(into: frame) == .wouldBlock {
            if deadline.hasPassed { return nil }
            try wait(milliseconds: 10)
        }
        let header = try FrameHeader(frame.unsafeBytes)
        let tlvs = Array(frame.bytes.dropFirst(FrameHeader.size))
        let outcome = try socket.receive(into: frame)
        #expect(outcome == .last)
        return Reply(header: header, tlvs: tlvs, payload: frame.bytes)
    }

    /// The next message, which has to come.
    func answer() throws -> Reply {
        guard let reply = try receive() else { throw NoAnswer() }
        return reply
    }

    /// Says HELLO and returns the answer.
    @discardableResult func greet(name: String = "hostile") throws -> Reply {
        let hello = Runtime.Hello(minVersion: 1, maxVersion: 1, clientName: name)
        try send(FrameHeader(type: .hello), try hello.serializedBytes())
        return try answer()
    }

    private func wait(milliseconds: Int) throws {
        var poller = Poller()
        _ = poller.add(socket)
        try poller.wait(milliseconds: milliseconds)
    }
}

/// Runs `body`, which may block and own sockets, on a thread of its own.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        startThread { continuation.resume(with: Swift.Result { try body() }) }
    }
}

/// Asks again and again until `condition` holds; false where it does not within 20 seconds.
func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
    let deadline = Deadline.after(.seconds(20))
    while !deadline.hasPassed {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return false
}
