import Protobuf
import ProtoRuntime
import RPC
import ZeroMQ

/// What a connection sends. It never waits: what libzmq does not take now stays where it is.
extension Connection {
    /// The server may hold a session of this connection.
    var isGreeted: Bool {
        switch phase {
        case .connecting, .parted: false
        case .greeting, .ready, .draining: true
        }
    }

    var canSend: Bool {
        guard case .ready(let terms) = phase else { return false }
        return calls.inFlightCount < terms.maxInFlight
    }

    mutating func sendWaiting(on socket: borrowing Socket) throws(ZeroMQError) {
        isBlocked = false
        guard case .ready(let terms) = phase else { return }
        while calls.inFlightCount < terms.maxInFlight, let call = calls.nextToSend() {
            let id = calls.reserveID()
            guard try send(call, id: id, on: socket) else {
                isBlocked = true
                return
            }
            calls.didSend(id: id)
        }
    }

    /// Sends a request; false where libzmq takes nothing now.
    func send(_ call: CallAttempt, id: UInt64, on socket: borrowing Socket) throws(ZeroMQError) -> Bool {
        let sentAt = MonotonicTime.now
        // A deadline that has just passed is found by `expire`; 0 would mean the server's default.
        let budget = max(1, call.request.deadline.time.microseconds(since: sentAt))
        var header = FrameHeader.request(
            callID: id, method: call.request.method, sentAt: sentAt.microseconds, budget: UInt32(clamping: budget),
            extensionLength: UInt16(call.request.extensions.count))
        if call.request.wantsTimings { header.flags |= FrameHeader.wantsTimings }
        let size = FrameHeader.size + call.request.extensions.count
        let outcome = try withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { (bytes) throws(ZeroMQError) in
            header.write(to: bytes)
            UnsafeMutableRawBufferPointer(rebasing: bytes[FrameHeader.size...]).copyBytes(from: call.request.extensions)
            return try socket.send(copying: UnsafeRawBufferPointer(bytes), more: true)
        }
        guard outcome == .sent else { return false }
        call.sentAt = sentAt
        // The call keeps its payload, for another try.
        call.request.payload.share(with: outgoing)
        return try socket.send(outgoing, more: false) == .sent
    }

    func sendControl(_ type: FrameType, id: UInt64 = 0, payload: Frame = Frame(), on socket: borrowing Socket) throws(ZeroMQError) -> Bool {
        var header = FrameHeader(type: type)
        header.id = id
        guard try socket.send(Frame(copying: header.bytes), more: true) == .sent else { return false }
        return try socket.send(payload, more: false) == .sent
    }

    mutating func sayHello(on socket: borrowing Socket) throws(ZeroMQError) {
        let version = Int32(FrameHeader.version)
        let hello = Runtime.Hello(
            minVersion: version, maxVersion: version, clientName: name, features: [], userAgent: configuration.userAgent)
        let payload: [UInt8]
        do throws(EncodingError) {
            payload = try hello.serializedBytes()
        } catch {
            return refuse(.invalidFields([.init(field: error.field, description: error.reason)]))
        }
        guard try sendControl(.hello, payload: Frame(copying: payload), on: socket) else { return }
        phase = .greeting(.sent)
        helloSentAt = now
    }
}
