internal import CZeroMQ

/// Which connection events a socket publishes. Keep it narrow: a reader that stalls stops libzmq's I/O thread.
package struct ConnectionEvents: OptionSet, Sendable {
    package let rawValue: Int32

    package init(rawValue: Int32) { self.rawValue = rawValue }

    /// A listener has taken a connection, of whomever.
    package static let accepted = ConnectionEvents(rawValue: ZMQ_EVENT_ACCEPTED)
    /// The peer is through the handshake: messages can flow.
    package static let handshakeSucceeded = ConnectionEvents(rawValue: ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
    /// The connection is gone.
    package static let disconnected = ConnectionEvents(rawValue: ZMQ_EVENT_DISCONNECTED)
    /// The handshake failed: not a ZMTP peer, or another socket type.
    package static let handshakeFailed = ConnectionEvents(
        rawValue: ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
    /// The peer's credentials were refused.
    package static let authenticationFailed = ConnectionEvents(rawValue: ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
    /// No more events will come.
    package static let monitorStopped = ConnectionEvents(rawValue: ZMQ_EVENT_MONITOR_STOPPED)
}

/// Reads what a monitored socket publishes. Belongs to one thread, which must read it promptly.
package struct ConnectionMonitor: ~Copyable {
    package let socket: Socket
    private let frame = Frame()

    package init(endpoint: String) throws(ZeroMQError) {
        let socket = try Socket(.pair)
        try socket.connect(endpoint)
        self.socket = socket
    }

    /// The next event, or nil where none waits.
    package func next() throws(ZeroMQError) -> ConnectionEvents? {
        // First frame: event number (u16) and value (u32); second frame: the address (zmq_socket_monitor(3)).
        guard try socket.receive(into: frame) == .more else { return nil }
        let number = frame.unsafeBytes.loadUnaligned(as: UInt16.self)
        while try socket.receive(into: frame) == .more {}
        return ConnectionEvents(rawValue: Int32(number))
    }
}
