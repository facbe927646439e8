import EmbeddedMongoDB
import Glibc
import RPC
import Synchronization
import TestSupport

/// Stands between a client and a server, and can do to their connections what networks do.
final class TCPProxy: Sendable {
    let port: UInt16
    var endpoint: String { "tcp://127.0.0.1:\(port)" }

    private let target: UInt16
    private let listener: Int32
    private let state = Mutex(State())

    private struct State {
        var pairs: [(TCPStream, TCPStream)] = []
        var isBlackHole = false
        var acceptedCount = 0
    }

    init(to endpoint: String) throws {
        target = RuntimeTests.port(of: endpoint)
        port = PortPicker.free()
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        guard withLoopback(port: port, { bind(listener, $0, $1) }) == 0, listen(listener, 64) == 0 else {
            throw TCPStream.Failure("listen")
        }
        startThread { [self] in acceptAll() }
    }

    /// Ends with `stop` only: its threads hold it.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        resetAll()
    }

    /// Connections that were accepted so far.
    var acceptedCount: Int { state.withLock { $0.acceptedCount } }

    /// Ends all connections with a RST on both sides.
    func resetAll() {
        let pairs = state.withLock { state in
            defer { state.pairs = [] }
            return state.pairs
        }
        for (near, far) in pairs {
            near.reset()
            far.reset()
        }
    }

    /// Whether bytes are swallowed, in connections that stay open.
    func setBlackHole(_ isOn: Bool) { state.withLock { $0.isBlackHole = isOn } }

    private func acceptAll() {
        while true {
            let accepted = accept(listener, nil, nil)
            guard accepted >= 0 else { break }
            _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
            let near = TCPStream(stealing: accepted)
            guard let far = try? TCPStream(port: target) else { continue }
            state.withLock {
                $0.pairs.append((near, far))
                $0.acceptedCount += 1
            }
            startThread { [self] in pump(from: near, to: far) }
            startThread { [self] in pump(from: far, to: near) }
        }
        close(listener)
    }

    private func pump(from source: TCPStream, to target: TCPStream) {
        while true {
            guard let bytes = source.read(milliseconds: 200) else { continue }
            if bytes.isEmpty { break }
            if state.withLock({ $0.isBlackHole }) { continue }
            do { try target.write(bytes) } catch { break }
        }
        shutdown(target.descriptor, Int32(SHUT_RDWR))
    }
}
