internal import Glibc

/// Picks free TCP ports, for tests, event sockets and the embedded mongod alike.
///
/// All are below 32768, where Linux begins to hand out ports by itself: a listener there can lose its port to an outgoing
/// connection while it restarts, and a client that reconnects to it over loopback can connect to itself.
package enum PortPicker {
    /// Above the server's own default ports, below the ephemeral ones.
    package static let range: Range<UInt16> = 10_000..<32_768

    /// A port that nobody listens on, and that no other picker on this machine will pick while this process lives.
    package static func free() -> UInt16 {
        let lease = lease()
        // Never ended: the reservation's descriptor stays open until the process ends.
        _ = Unmanaged.passRetained(lease)
        return lease.port
    }

    /// As `free`, for as long as the lease is kept.
    package static func lease() -> PortLease {
        let first = UInt16.random(in: range) - range.lowerBound
        for step in 0..<UInt16(range.count) {
            let port = range.lowerBound + (first + step) % UInt16(range.count)
            if let lease = PortLease.take(port), canListen(on: port, reusingAddress: false) { return lease }
        }
        preconditionFailure("all of the \(range.count) ports from \(range.lowerBound) on are taken")
    }

    /// This very port, if nobody has it. Old connections in TIME_WAIT do not count: its next listener is the same
    /// service as its last one.
    package static func lease(again port: UInt16) -> PortLease? {
        guard let lease = PortLease.take(port), canListen(on: port, reusingAddress: true) else { return nil }
        return lease
    }

    private static func canListen(on port: UInt16, reusingAddress: Bool) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        if reusingAddress {
            var on: Int32 = 1
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        return withSocketAddress(port: port, host: INADDR_ANY) { bind(descriptor, $0, $1) } == 0
    }
}

/// A port's reservation among all pickers of this machine; it ends with the lease, or the process.
///
/// It is a name bound in the abstract socket namespace: that has one owner, is as wide as the ports are (one network
/// namespace), and leaves no file.
package final class PortLease: Sendable {
    package let port: UInt16
    private let descriptor: Int32

    /// Nil if somebody has it.
    static func take(_ port: UInt16) -> PortLease? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        let lease = PortLease(port, stealing: descriptor)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array("\0orderwire-port-\(port)".utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        return bound == 0 ? lease : nil
    }

    private init(_ port: UInt16, stealing descriptor: Int32) {
        self.port = port
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }
}

/// Calls `body` with an IPv4 address for the socket functions.
func withSocketAddress<R>(port: UInt16, host: in_addr_t, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = host.bigEndian
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
}
