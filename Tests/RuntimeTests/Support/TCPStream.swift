import Glibc
import RPC

/// A TCP connection without any protocol on it: a stranger at a server's port, or one side of a proxy.
final class TCPStream: @unchecked Sendable {
    /// Used by one thread at a time but for `reset` and `close`, which end what the other waits for.
    let descriptor: Int32

    struct Failure: Error {
        let operation: String
        let code = errno
        init(_ operation: String) { self.operation = operation }
    }

    init(stealing descriptor: Int32) { self.descriptor = descriptor }

    /// Connects to a port of this machine.
    ///
    /// - Parameter receiveBuffer: room for what comes, in bytes, where it is to be little. It has to be set before there is a
    ///   connection: a window that shrinks makes Linux drop segments, and with them the acknowledgements for this side.
    convenience init(port: UInt16, receiveBuffer: Int32? = nil) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure("socket") }
        self.init(stealing: descriptor)
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        let result = withLoopback(port: port) { connect(descriptor, $0, $1) }
        guard result == 0 else { throw Failure("connect") }
    }

    deinit { Glibc.close(descriptor) }

    func write(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw Failure("send") }
            sent += count
        }
    }

    /// What comes next: empty at the connection's end, nil where nothing comes in time.
    func read(milliseconds: Int32) -> [UInt8]? {
        var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&item, 1, milliseconds) > 0 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return Array(buffer.prefix(max(0, count)))
    }

    /// Everything until the other side ends the connection; nil where it does not in time.
    func readToEnd(within limit: Duration) -> [UInt8]? {
        let deadline = Deadline.after(limit)
        var all: [UInt8] = []
        while !deadline.hasPassed {
            guard let bytes = read(milliseconds: 100) else { continue }
            if bytes.isEmpty { return all }
            all += bytes
        }
        return nil
    }

    /// Lets the connection end with a RST.
    func reset() {
        // A connection that is closed while it lingers for no time at all is aborted (socket(7)); the descriptor itself
        // stays until `deinit`, so that nobody else gets its number meanwhile.
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        dup2(null, descriptor)
        Glibc.close(null)
    }
}

/// Calls `body` with the address of a port of this machine.
func withLoopback<R>(port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
}

/// The port at the end of an endpoint.
func port(of endpoint: String) -> UInt16 { UInt16(endpoint.split(separator: ":").last ?? "") ?? 0 }
