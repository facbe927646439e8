public import Protobuf
public import RPC
import ZeroMQ

/// Connections to one server or to several alike, for any number of calls at once. Connects by itself, and again when a connection is lost.
///
/// Each call goes to the less loaded of two servers that are ready, and what fails is tried again where that does no harm:
/// see `RetryPolicy`. All I/O is done by one thread a server; calling tasks only wait. Close it when it is no longer needed.
public final class Channel: CallInvoker, Sendable {
    let configuration: ChannelConfiguration
    let servers: SubchannelList
    let backoffs = Backoffs()
    private let threads: [SocketThread]
    private let closing = CloseOnce()

    /// A channel to `endpoint`, as in "tcp://127.0.0.1:7400". Does not wait for the connection.
    ///
    /// - Parameter name: who is calling: the identity that the server sees. Grammar: `Identity.grammar`.
    /// - Throws: INVALID_ARGUMENT where the endpoint or the name is malformed.
    public convenience init(to endpoint: String, name: String, configuration: ChannelConfiguration = .init()) throws(RPCError) {
        try self.init(to: [endpoint], name: name, configuration: configuration)
    }

    /// A channel to servers that any call may go to. Does not wait for a connection.
    ///
    /// - Parameters:
    ///   - endpoints: at least one; in no order of preference.
    ///   - name: who is calling: the identity that the servers see. Grammar: `Identity.grammar`.
    /// - Throws: INVALID_ARGUMENT where an endpoint or the name is malformed.
    public init(to endpoints: [String], name: String, configuration: ChannelConfiguration = .init()) throws(RPCError) {
        guard Identity.isValid(name) else {
            throw .invalidFields([.init(field: "name", description: "a client's name must match \(Identity.grammar)")])
        }
        guard !endpoints.isEmpty else { throw Self.invalidEndpoint("a channel needs an endpoint to connect to") }
        let servers = SubchannelList(endpoints)
        let started = servers.indices.map { _ in StartSignal() }
        threads = servers.indices.map { index in
            SocketThread(name: "rpc-client") {
                Connection.run(to: index, of: servers, name: name, configuration: configuration, started: started[index])
            }
        }
        self.configuration = configuration
        self.servers = servers
        let failures = zip(endpoints, started).compactMap { endpoint, signal in signal.wait().map { (endpoint, $0) } }
        if let (endpoint, error) = failures.first {
            stop()
            throw Self.invalidEndpoint("cannot connect to \(endpoint): \(error)")
        }
    }

    deinit { stop() }

    public func call<Request: Message, Response: Message>(
        _ method: MethodDescriptor<Request, Response>, _ request: Request, options: CallOptions
    ) async throws(RPCError) -> Response {
        let now = MonotonicTime.now
        let deadline = Deadline(now.advanced(by: options.timeout ?? configuration.defaultTimeout))
        let interceptors = configuration.interceptors.isEmpty
            ? nil : InterceptorChain(configuration.interceptors, method: method.fullName, options, deadline: deadline, now: now)
        do throws(RPCError) {
            try interceptors?.begin()
            let extensions = if let interceptors {
                try Self.encode(interceptors.call.traceparent, interceptors.call.metadata)
            } else {
                try Self.encode(options.traceparent, options.metadata)
            }
            guard deadline.time > now else { throw .deadlineExceeded(at: "client", disposition: .notExecuted) }
            let attempt = makeAttempt(
                OutgoingRequest(
                    method: method.id, deadline: deadline, payload: try Self.encode(request), extensions: extensions,
                    wantsTimings: options.onTimings != nil, isPinned: options.endpoint != nil),
                now: now)
            let server = try firstServer(for: options, now: now)
            let payload: Frame
            switch await run(attempt, at: server) {
            case .success(let frame):
                payload = frame
                if let report = options.onTimings { report(timings(of: attempt, at: server, sentCount: 1)) }
            case .failure(let failure):
                payload = try await tryAgain(
                    RepeatableCall(method: method.fullName, idempotency: method.idempotency, options: options),
                    after: failure, of: attempt, at: server)
            }
            let response: Response = try Self.decode(payload)
            interceptors?.end(nil)
            return response
        } catch {
            interceptors?.end(error)
            throw error
        }
    }

    private static func encode(_ traceparent: String?, _ metadata: [(key: String, value: String)]) throws(RPCError) -> [UInt8] {
        if traceparent == nil && metadata.isEmpty { return [] }
        guard let bytes = HeaderExtension(traceparent: traceparent, metadata: metadata).encoded() else {
            throw .invalidFields([.init(
                field: "metadata", description: "keys have 1 to 255 bytes, all pairs together at most \(FrameHeader.maxExtensionLength)")])
        }
        return bytes
    }

    private static func encode(_ request: some Message) throws(RPCError) -> Frame {
        var frame: Frame?
        do throws(EncodingError) {
            try request.serialize { count in
                let allocated = Frame(count: count)
                frame = allocated
                return allocated.unsafeMutableBytes
            }
        } catch {
            throw .invalidFields([.init(field: error.field, description: error.reason)])
        }
        return frame ?? Frame()
    }

    private static func decode<Response: Message>(_ payload: Frame) throws(RPCError) -> Response {
        do throws(DecodingError) {
            return try Response(serializedBytes: payload.unsafeBytes)
        } catch {
            throw RPCError(
                .internalError, reason: "MALFORMED_RESPONSE",
                "the response is no valid \(Response.messageName): \(error.field): \(error.reason)")
        }
    }

    static func invalidEndpoint(_ text: String) -> RPCError {
        RPCError(.invalidArgument, reason: "INVALID_ENDPOINT", text, disposition: .notExecuted)
    }

    static func channelClosed(_ disposition: Disposition) -> RPCError {
        RPCError(.unavailable, reason: "CHANNEL_CLOSED", "the channel was closed by its owner", disposition: disposition)
    }

    /// Ends all calls, says BYE, and waits for the threads to end. Blocks for milliseconds only. Calling it again does nothing.
    public func close() { stop() }

    private func stop() {
        guard closing.close() else { return }
        for index in servers.indices { servers[index].commands.post(.close) }
        backoffs.close()
        for thread in threads { thread.join() }
    }
}
