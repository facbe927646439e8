internal import CZeroMQ

/// Owns a libzmq socket. It is created, used and closed on one thread: "Applications MUST NOT use a socket from multiple
/// threads" (zmq_socket(3)); libzmq aborts the process otherwise. Closed when its owner lets go of it.
package struct Socket: ~Copyable {
    /// The socket patterns that are used here.
    package enum Kind: Sendable {
        case router, dealer, push, pull, reply, request, pair

        var constant: Int32 {
            switch self {
            case .router: ZMQ_ROUTER
            case .dealer: ZMQ_DEALER
            case .push: ZMQ_PUSH
            case .pull: ZMQ_PULL
            case .reply: ZMQ_REP
            case .request: ZMQ_REQ
            case .pair: ZMQ_PAIR
            }
        }
    }

    let handle: UnsafeMutableRawPointer

    /// Opens a socket with the options that every socket here has: it never holds up the end of the process (LINGER 0),
    /// gives a silent stranger 3 s for the handshake, and finds a vanished peer by TCP keepalive.
    ///
    /// ZMQ_HEARTBEAT_* is never set: with it, a peer that fills a ROUTER to its high-water mark and leaves aborts the
    /// process (zeromq/libzmq#4364). Liveness is the RPC runtime's own PING.
    package init(_ kind: Kind, in context: Context = .shared) throws(ZeroMQError) {
        handle = try Self.open(kind, in: context)
    }

    private static func open(_ kind: Kind, in context: Context) throws(ZeroMQError) -> UnsafeMutableRawPointer {
        guard let handle = zmq_socket(context.handle, kind.constant) else { throw .last("open \(kind) socket") }
        let options: [(IntegerOption, Int32)] = [
            (.linger, 0), (.handshakeInterval, 3000),
            (.tcpKeepalive, 1), (.tcpKeepaliveIdle, 30), (.tcpKeepaliveInterval, 10), (.tcpKeepaliveCount, 3),
            (.tcpMaxRetransmission, 15000),
        ]
        do throws(ZeroMQError) {
            for (option, value) in options { try set(option, value, on: handle) }
        } catch {
            zmq_close(handle)
            throw error
        }
        return handle
    }

    deinit { zmq_close(handle) }

    // MARK: Addresses

    /// Listens on `endpoint`; `tcp://127.0.0.1:*` takes a free port, which `lastEndpoint` then tells.
    package func bind(_ endpoint: String) throws(ZeroMQError) {
        if zmq_bind(handle, endpoint) != 0 { throw .last("bind \(endpoint)") }
    }

    /// Stops to listen on `endpoint`.
    package func unbind(_ endpoint: String) throws(ZeroMQError) {
        if zmq_unbind(handle, endpoint) != 0 { throw .last("unbind \(endpoint)") }
    }

    /// Connects, and connects again whenever the connection is lost.
    package func connect(_ endpoint: String) throws(ZeroMQError) {
        if zmq_connect(handle, endpoint) != 0 { throw .last("connect \(endpoint)") }
    }

    /// The address that the last bind or connect really uses.
    package func lastEndpoint() throws(ZeroMQError) -> String {
        var buffer = [CChar](repeating: 0, count: 512)
        var count = buffer.count
        if zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, &buffer, &count) != 0 { throw .last("read last endpoint") }
        return String(decoding: buffer.prefix(max(0, count - 1)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: Frames

    /// What became of a frame that was to be sent without waiting.
    package enum SendOutcome: Equatable, Sendable {
        /// libzmq has it.
        case sent
        /// No room, or no peer yet. Nothing was taken.
        case wouldBlock
        /// ROUTER with MANDATORY: there is no peer of that routing id.
        case unreachable
    }

    /// Sends a frame without waiting. Once sent, `message` is empty.
    package func send(_ message: Frame, more: Bool) throws(ZeroMQError) -> SendOutcome {
        let flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)
        return try outcome(of: retryingInterrupts { zmq_msg_send(message.raw, handle, flags) })
    }

    /// Sends a copy of `bytes` without waiting.
    package func send(copying bytes: UnsafeRawBufferPointer, more: Bool) throws(ZeroMQError) -> SendOutcome {
        let flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)
        return try outcome(of: retryingInterrupts { zmq_send(handle, bytes.baseAddress, bytes.count, flags) })
    }

    private func outcome(of result: Int32) throws(ZeroMQError) -> SendOutcome {
        if result >= 0 { return .sent }
        switch zmq_errno() {
        case EAGAIN: return .wouldBlock
        case EHOSTUNREACH: return .unreachable
        default: throw .last("send")
        }
    }

    /// Whether a frame could be sent now: there is a peer, and room in its pipe.
    package func isWritable() throws(ZeroMQError) -> Bool {
        var events: Int32 = 0
        var count = MemoryLayout<Int32>.size
        if zmq_getsockopt(handle, ZMQ_EVENTS, &events, &count) != 0 { throw .last("read events") }
        return events & ZMQ_POLLOUT != 0
    }

    /// What was there to receive.
    package enum ReceiveOutcome: Equatable, Sendable {
        /// Nothing.
        case wouldBlock
        /// The last frame of its message.
        case last
        /// A frame that is followed by another of the same message.
        case more
    }

    /// Receives a frame into `message` without waiting; what it held before is let go.
    package func receive(into message: Frame) throws(ZeroMQError) -> ReceiveOutcome {
        if retryingInterrupts({ zmq_msg_recv(message.raw, handle, ZMQ_DONTWAIT) }) >= 0 {
            return zmq_msg_more(message.raw) != 0 ? .more : .last
        }
        if zmq_errno() == EAGAIN { return .wouldBlock }
        throw .last("receive")
    }

    private func retryingInterrupts(_ call: () -> Int32) -> Int32 {
        while true {
            let result = call()
            if result < 0 && zmq_errno() == EINTR { continue }
            return result
        }
    }

    // MARK: Monitoring

    /// Publishes connection events of this socket on the inproc address `endpoint`, to be read by a `ConnectionMonitor`.
    package func monitor(on endpoint: String, events: ConnectionEvents) throws(ZeroMQError) {
        if zmq_socket_monitor(handle, endpoint, events.rawValue) != 0 { throw .last("monitor socket") }
    }

    /// Ends what `monitor` began.
    package func stopMonitoring() {
        zmq_socket_monitor(handle, nil, 0)
    }
}
