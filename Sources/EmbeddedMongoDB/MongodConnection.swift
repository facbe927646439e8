internal import Glibc
internal import MongoDB

/// One plain connection to a mongod on loopback, for the few commands of its start.
///
/// Not a client of the driver: that brings monitors which take half a second to end, and waits in such steps for a
/// server that is about to be there.
struct MongodConnection: ~Copyable {
    /// What went wrong on the way, or was refused.
    struct Failure: Error {
        /// MongoDB's own code; 0 if there was no answer.
        var code: Int
        var text: String
    }

    private static let headerByteCount = 16
    /// The message header, the flags, and the kind of the one section.
    private static let prefixByteCount = 21
    private static let opMsg: Int32 = 2013
    /// Far above any reply to these commands.
    private static let replyLimit = 1 << 20

    private let descriptor: Int32

    /// Nil while nobody listens.
    static func open(port: UInt16, timeoutSeconds: Int) -> MongodConnection? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        let connection = MongodConnection(stealing: descriptor)
        var timeout = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let connected = withSocketAddress(port: port, host: INADDR_LOOPBACK) { connect(descriptor, $0, $1) }
        guard connected == 0 else { return nil }
        return connection
    }

    private init(stealing descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Runs a command on the `admin` database. The document must name the command first.
    func run(_ command: Document) throws(Failure) -> Document {
        try send(command)
        let reply = try receive()
        guard reply.view.find("ok")?.double == 1 else {
            throw Failure(
                code: Int(reply.view.find("code")?.int64 ?? 0), text: reply.view.find("errmsg")?.string ?? "no reason given")
        }
        return reply
    }

    private func send(_ command: Document) throws(Failure) {
        let body = command.bytes
        var message: [UInt8] = []
        message.reserveCapacity(Self.prefixByteCount + body.count)
        // Length, request id, "response to", opcode, flags; then one section of kind 0: a document.
        for number in [Int32(Self.prefixByteCount + body.count), 1, 0, Self.opMsg, 0] {
            withUnsafeBytes(of: number.littleEndian) { message.append(contentsOf: $0) }
        }
        message.append(0)
        message += body
        // A blocking socket takes it whole, unless its time is over.
        let sent = Glibc.send(descriptor, message, message.count, Int32(MSG_NOSIGNAL))
        guard sent == message.count else { throw Failure(code: 0, text: "mongod took no command: \(lastError())") }
    }

    private func receive() throws(Failure) -> Document {
        let header = try receive(Self.headerByteCount)
        let length = header.withUnsafeBytes { Int(Int32(littleEndian: $0.loadUnaligned(as: Int32.self))) }
        guard length > Self.prefixByteCount, length <= Self.replyLimit else {
            throw Failure(code: 0, text: "mongod's reply has a length of \(length)")
        }
        let rest = try receive(length - Self.headerByteCount)
        do throws(MongoError) {
            return try Document(bytes: Array(rest.dropFirst(Self.prefixByteCount - Self.headerByteCount)))
        } catch {
            throw Failure(code: 0, text: error.message)
        }
    }

    private func receive(_ count: Int) throws(Failure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var received = 0
        while received < count {
            let part = bytes.withUnsafeMutableBytes { buffer in
                recv(descriptor, buffer.baseAddress?.advanced(by: received), count - received, Int32(MSG_WAITALL))
            }
            // A signal that is somebody else's to handle.
            if part < 0, errno == EINTR { continue }
            guard part > 0 else {
                throw Failure(code: 0, text: part < 0 ? "no answer: \(lastError())" : "mongod closed the connection")
            }
            received += part
        }
        return bytes
    }
}
