import Logging
import ZeroMQ

/// Counts what happens to the connections of the server's socket: strangers, refusals, ends.
///
/// A thread that does nothing but drain events into counters: a monitor that is not read stops libzmq's I/O thread.
struct ConnectionWatch {
    private let thread: SocketThread

    /// Begins to watch `socket`; ends by itself when that is closed, or stops to be monitored.
    init(_ socket: borrowing Socket, counters: ServerCounters, logger: Logger) throws(ZeroMQError) {
        let endpoint = "inproc://connections-\(UInt64.random(in: .min ... .max))"
        try socket.monitor(
            on: endpoint,
            events: [.accepted, .handshakeSucceeded, .handshakeFailed, .authenticationFailed, .disconnected, .monitorStopped])
        thread = SocketThread(name: "connections") {
            do throws(ZeroMQError) {
                try Self.drain(try ConnectionMonitor(endpoint: endpoint), into: counters)
            } catch {
                logger.error("connections are not counted any more", metadata: ["error": "\(error)"])
            }
        }
    }

    private static func drain(_ monitor: consuming ConnectionMonitor, into counters: ServerCounters) throws(ZeroMQError) {
        var poller = Poller()
        _ = poller.add(monitor.socket)
        while true {
            while let event = try monitor.next() {
                if event == .monitorStopped { return }
                if let counted = kind(of: event) { counters.connections.add(counted) }
            }
            try poller.wait(milliseconds: nil)
        }
    }

    private static func kind(of event: ConnectionEvents) -> ConnectionEvent? {
        if event == .accepted { return .accepted }
        if event == .handshakeSucceeded { return .handshakeSucceeded }
        if event == .disconnected { return .disconnected }
        if event == .authenticationFailed { return .authenticationFailed }
        return event.isSubset(of: .handshakeFailed) ? .handshakeFailed : nil
    }

    /// Waits for the end, after the socket stopped to be monitored.
    func join() { thread.join() }
}
