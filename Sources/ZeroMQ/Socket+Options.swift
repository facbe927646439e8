internal import CZeroMQ

extension Socket {
    /// Options with an `int` value (zmq_setsockopt(3)).
    package enum IntegerOption: Sendable {
        case linger, handshakeInterval, sendHighWaterMark, receiveHighWaterMark
        case routerMandatory, plainServer, zapEnforceDomain
        case connectTimeout, reconnectInterval
        case tcpKeepalive, tcpKeepaliveIdle, tcpKeepaliveInterval, tcpKeepaliveCount, tcpMaxRetransmission

        var constant: Int32 {
            switch self {
            case .linger: ZMQ_LINGER
            case .handshakeInterval: ZMQ_HANDSHAKE_IVL
            case .sendHighWaterMark: ZMQ_SNDHWM
            case .receiveHighWaterMark: ZMQ_RCVHWM
            case .routerMandatory: ZMQ_ROUTER_MANDATORY
            case .plainServer: ZMQ_PLAIN_SERVER
            case .zapEnforceDomain: ORDERWIRE_ZMQ_ZAP_ENFORCE_DOMAIN
            case .connectTimeout: ZMQ_CONNECT_TIMEOUT
            case .reconnectInterval: ZMQ_RECONNECT_IVL
            case .tcpKeepalive: ZMQ_TCP_KEEPALIVE
            case .tcpKeepaliveIdle: ZMQ_TCP_KEEPALIVE_IDLE
            case .tcpKeepaliveInterval: ZMQ_TCP_KEEPALIVE_INTVL
            case .tcpKeepaliveCount: ZMQ_TCP_KEEPALIVE_CNT
            case .tcpMaxRetransmission: ZMQ_TCP_MAXRT
            }
        }
    }

    /// Options with a string or binary value.
    package enum BytesOption: Sendable {
        case routingID, zapDomain, plainUsername, plainPassword

        var constant: Int32 {
            switch self {
            case .routingID: ZMQ_ROUTING_ID
            case .zapDomain: ZMQ_ZAP_DOMAIN
            case .plainUsername: ZMQ_PLAIN_USERNAME
            case .plainPassword: ZMQ_PLAIN_PASSWORD
            }
        }
    }

    package func set(_ option: IntegerOption, _ value: Int32) throws(ZeroMQError) {
        try Self.set(option, value, on: handle)
    }

    static func set(_ option: IntegerOption, _ value: Int32, on handle: UnsafeMutableRawPointer) throws(ZeroMQError) {
        var value = value
        if zmq_setsockopt(handle, option.constant, &value, MemoryLayout<Int32>.size) != 0 {
            throw .last("set \(option) to \(value)")
        }
    }

    /// The send high-water mark, as libzmq has it.
    package func sendHighWaterMark() throws(ZeroMQError) -> Int {
        var value: Int32 = 0
        var count = MemoryLayout<Int32>.size
        if zmq_getsockopt(handle, ZMQ_SNDHWM, &value, &count) != 0 { throw .last("read send high-water mark") }
        return Int(value)
    }

    package func set(_ option: BytesOption, _ value: String) throws(ZeroMQError) {
        var text = value
        let result = text.withUTF8 { zmq_setsockopt(handle, option.constant, $0.baseAddress, $0.count) }
        // The value may be a secret: not in the message.
        if result != 0 { throw .last("set \(option)") }
    }

    /// Largest frame in bytes that is taken from a peer; a longer one ends its connection.
    package func setMaxMessageSize(_ bytes: Int64) throws(ZeroMQError) {
        var value = bytes
        if zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, &value, MemoryLayout<Int64>.size) != 0 {
            throw .last("set maximum message size to \(bytes)")
        }
    }
}
