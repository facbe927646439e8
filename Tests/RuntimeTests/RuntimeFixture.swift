import Logging
import ProtoEcho
import RPC
import RPCClient
import RPCServer
import Synchronization
import EmbeddedMongoDB
import TestSupport
import Testing

/// The echo service with handlers that a test chooses.
struct EchoHandlers: Echo.EchoService.Handlers {
    var echo: Handler<Echo.EchoRequest, Echo.EchoResponse>

    init(_ echo: Handler<Echo.EchoRequest, Echo.EchoResponse>) { self.echo = echo }

    /// Answers with what it was sent.
    static let plain = EchoHandlers(.unary { (request, _) throws(RPCError) in Echo.EchoResponse(payload: request.payload) })
}

/// A server on a port of its own. Ended by `stop`.
struct RunningServer {
    let server: Server
    var endpoint: String { server.endpoints[0] }

    static func start(
        _ services: any Service..., workers: Int = 4, limits: ServerLimits = ServerLimits(), drainTimeout: Duration = .seconds(8),
        listen: String? = nil, databaseTime: @escaping @Sendable () -> Duration = { .zero },
        interceptors: [any Interceptor] = []
    ) throws -> RunningServer {
        let endpoint = listen ?? "tcp://127.0.0.1:\(PortPicker.free())"
        var configuration = ServerConfiguration(
            listen: [endpoint], workers: workers, limits: limits, heartbeatInterval: .milliseconds(500), drainTimeout: drainTimeout)
        configuration.databaseTime = databaseTime
        configuration.interceptors = interceptors
        let server = try Server(configuration: configuration, services: services, logger: Logger(label: "test"))
        try server.start()
        return RunningServer(server: server)
    }

    func channel(name: String = "tester", configuration: ChannelConfiguration = .patient) throws -> Channel {
        try Channel(to: endpoint, name: name, configuration: configuration)
    }

    /// Ends the server, which then has to have accounted for all that it ever received.
    func stop(sourceLocation: SourceLocation = #_sourceLocation) {
        server.shutdown()
        expectNothingLost(server.stats, sourceLocation: sourceLocation)
        #expect(server.stats.inFlightCount == 0, "\(server.stats)", sourceLocation: sourceLocation)
    }
}

extension ChannelConfiguration {
    /// For a machine where everything else is tested at the same time. A call is tried once, so that a test sees each failure.
    static var patient: ChannelConfiguration {
        var configuration = ChannelConfiguration()
        configuration.retry = .never
        configuration.connectTimeout = .seconds(20)
        return configuration
    }
}

extension Channel {
    var echo: Echo.EchoService.Client { Echo.EchoService.Client(self) }

    func echo(_ text: String, timeout: Duration? = nil) async throws(RPCError) -> String {
        let response = try await echo.echo(Echo.EchoRequest(payload: Array(text.utf8)), options: CallOptions(timeout: timeout))
        return String(decoding: response.payload, as: UTF8.self)
    }
}

/// Lets test code wait for something that another thread does, and the other way round.
final class Gate: Sendable {
    private let state = Mutex<(isOpen: Bool, waiters: [CheckedContinuation<Void, Never>])>((false, []))

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    var isOpen: Bool { state.withLock { $0.isOpen } }
}

/// A value that threads share.
final class Shared<Value: Sendable>: Sendable {
    private let storage: Mutex<Value>

    init(_ value: Value) { storage = Mutex(value) }

    func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result { storage.withLock { body(&$0) } }

    var value: Value { storage.withLock { $0 } }
}

/// The error that `body` throws.
func failure<Result>(of body: () async throws(RPCError) -> Result) async -> RPCError? {
    do throws(RPCError) {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}
