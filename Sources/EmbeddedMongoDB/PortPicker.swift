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
        let start = UInt16.random(in: range)
        for step in 0..<UInt16(range.count) {
            let port = range.lowerBound + (start - range.lowerBound + step) % UInt16(range.count)
            if take(port) { return port }
        }
        preconditionFailure("all of the \(range.count) ports from \(range.lowerBound) on are taken")
    }

    /// Takes this very port, if it is free; false otherwise, also when this process has it already.
    package static func take(_ port: UInt16) -> Bool {
        reserve(port) && canListen(on: port)
    }

    /// Binds a name in the abstract socket namespace, which has one owner, is as wide as the ports' (one network
    /// namespace), leaves no file, and ends with the process. The descriptor stays open on purpose.
    private static func reserve(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array("\0orderwire-port-\(port)".utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        if bound != 0 { close(descriptor) }
        return bound == 0
    }

    /// Without SO_REUSEADDR, so that a port with connections in TIME_WAIT counts as taken too.
    private static func canListen(on port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withSocketAddress(port: port, host: INADDR_ANY) { bind(descriptor, $0, $1) } == 0
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
