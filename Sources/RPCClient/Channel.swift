public import Protobuf
public import RPC
import ZeroMQ

/// A connection to a server, for any number of calls at once. Connects by itself, and again when the connection is lost.
///
/// All of its I/O is done by one thread of its own; calling tasks only wait. Close it when it is no longer needed.
public final class Channel: CallInvoker, Sendable {
    private let configuration: ChannelConfiguration
    private let commands: Mailbox<ConnectionCommand>
    private let thread: SocketThread
    private let closing = CloseOnce()

    /// A channel to `endpoint`, as in "tcp://127.0.0.1:7400". Does not wait for the connection.
    ///
    /// - Parameter name: who is calling: the identity that the server sees. Grammar: `Identity.grammar`.
    /// - Throws: INVALID_ARGUMENT where the endpoint or the name is malformed.
    public init(to endpoint: String, name: String, configuration: ChannelConfiguration = .init()) throws(RPCError) {
        guard Identity.isValid(name) else {
            throw .invalidFields([.init(field: "name", description: "a client's name must match \(Identity.grammar)")])
        }
        let commands = Mailbox<ConnectionCommand>()
        let started = StartSignal()
        thread = SocketThread(name: "rpc-client") {
            Connection.run(endpoint: endpoint, name: name, configuration: configuration, commands: commands, started: started)
        }
        if let error = started.wait() {
            thread.join()
            throw RPCError(
                .invalidArgument, reason: "INVALID_ENDPOINT", "cannot connect to \(endpoint): \(error)", disposition: .notExecuted)
        }
        self.configuration = configuration
        self.commands = commands
    }

    deinit { stop() }

    public func call<Request: Message, Response: Message>(
        _ method: MethodDescriptor<Request, Response>, _ request: Request, options: CallOptions
    ) async throws(RPCError) -> Response {
        let call = try prepare(method.id, request, options)
        let outcome = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                call.willStart(continuation)
                if !commands.post(.start(call)) { call.end(.failure(Self.channelClosed(.notExecuted))) }
            }
        } onCancel: {
            commands.post(.cancel(call))
        }
        let payload = try outcome.get()
        do throws(DecodingError) {
            return try Response(serializedBytes: payload.unsafeBytes)
        } catch {
            throw RPCError(
                .internalError, reason: "MALFORMED_RESPONSE",
                "the response is no valid \(Response.messageName): \(error.field): \(error.reason)")
        }
    }

    private func prepare(_ method: UInt32, _ request: some Message, _ options: CallOptions) throws(RPCError) -> ClientCall {
        let now = MonotonicTime.now
        let deadline = Deadline(now.advanced(by: options.timeout ?? configuration.defaultTimeout))
        guard deadline.time > now else { throw .deadlineExceeded(at: "client", disposition: .notExecuted) }
        let extensions = HeaderExtension(traceparent: options.traceparent, metadata: options.metadata)
        guard let encodedExtensions = extensions.isEmpty ? [] : extensions.encoded() else {
            throw .invalidFields([.init(
                field: "metadata", description: "keys have 1 to 255 bytes, all pairs together at most \(FrameHeader.maxExtensionLength)")])
        }
        return ClientCall(
            method: method, deadline: deadline,
            sendBy: min(deadline.time, now.advanced(by: configuration.connectTimeout)),
            payload: try Self.encode(request), extensions: encodedExtensions)
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

    static func channelClosed(_ disposition: Disposition) -> RPCError {
        RPCError(.unavailable, reason: "CHANNEL_CLOSED", "the channel was closed by its owner", disposition: disposition)
    }

    /// Ends all calls, says BYE, and waits for the thread to end. Blocks for milliseconds only. Calling it again does nothing.
    public func close() { stop() }

    private func stop() {
        guard closing.close() else { return }
        commands.post(.close)
        thread.join()
    }
}
