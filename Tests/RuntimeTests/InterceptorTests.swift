import ProtoEcho
import RPC
import RPCClient
import RPCServer
import TestSupport
import Testing

/// A client's interceptors.
@Suite(.blocking) struct ClientInterceptorTests {
    /// Notes what it sees, and does with a call what it is told to.
    private struct Recorder: Interceptor {
        let name: String
        let log: Shared<[String]>
        var change: @Sendable (inout InterceptedCall) throws(RPCError) -> Void = { _ throws(RPCError) in }

        func callWillStart(_ call: inout InterceptedCall) throws(RPCError) {
            log.withLock { $0.append("\(name) begins") }
            try change(&call)
        }

        func callDidEnd(_ call: InterceptedCall, _ outcome: CallOutcome) {
            let text = "\(name) ends \(outcome.code)"
            log.withLock { $0.append(text) }
        }
    }

    private func configuration(_ interceptors: any Interceptor...) -> ChannelConfiguration {
        var configuration = ChannelConfiguration.patient
        configuration.interceptors = interceptors
        configuration.retry = RetryPolicy()
        configuration.retry.initialBackoff = .milliseconds(1)
        return configuration
    }

    @Test func eachSeesACallOnceHoweverOftenItIsTried() async throws {
        let executions = Shared(0)
        let server = try RunningServer.start(EchoHandlers(.unary { (request, _) throws(RPCError) in
            if executions.withLock({ $0 += 1; return $0 }) < 3 { throw RPCError(.unavailable, reason: "TEST", "x", disposition: .notExecuted) }
            return Echo.EchoResponse(payload: request.payload)
        }))
        defer { server.stop() }
        let log = Shared<[String]>([])
        let channel = try server.channel(configuration: configuration(Recorder(name: "a", log: log), Recorder(name: "b", log: log)))
        defer { channel.close() }
        #expect(try await channel.echo("x", timeout: .seconds(30)) == "x")
        #expect(executions.value == 3)
        #expect(log.value == ["a begins", "b begins", "b ends OK", "a ends OK"])
    }

    @Test func whatTheyAddTravels() async throws {
        let server = try RunningServer.start(EchoHandlers(.unary { (_, context) throws(RPCError) in
            let pairs = context.metadata.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
            return Echo.EchoResponse(payload: Array("\(pairs) \(context.traceparent ?? "")".utf8))
        }))
        defer { server.stop() }
        let log = Shared<[String]>([])
        let method = Echo.EchoService.echo.fullName
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let channel = try server.channel(configuration: configuration(
            Recorder(name: "a", log: log) { call throws(RPCError) in
                #expect(call.method == method && call.identity == nil && !call.deadline.hasPassed)
                call.metadata.append(("one", "1"))
            },
            Recorder(name: "b", log: log) { call throws(RPCError) in
                call.metadata.append(("two", "\(call.metadata.count)"))
                call.traceparent = trace
            }))
        defer { channel.close() }
        let response = try await channel.echo.echo(.init(), options: CallOptions(timeout: .seconds(30), metadata: [("own", "0")]))
        #expect(String(decoding: response.payload, as: UTF8.self) == "own=0,one=1,two=2 \(trace)")
    }

    /// Those that began are told of the end; the call is not sent.
    @Test func anErrorOfOneEndsTheCall() async throws {
        let executions = Shared(0)
        let server = try RunningServer.start(EchoHandlers(.unary { (_, _) throws(RPCError) in
            executions.withLock { $0 += 1 }
            return Echo.EchoResponse()
        }))
        defer { server.stop() }
        let log = Shared<[String]>([])
        let channel = try server.channel(configuration: configuration(
            Recorder(name: "a", log: log),
            Recorder(name: "b", log: log) { _ throws(RPCError) in throw RPCError(.permissionDenied, reason: "TEST", "no") },
            Recorder(name: "c", log: log)))
        defer { channel.close() }
        let error = await failure { () throws(RPCError) in try await channel.echo("x") }
        #expect(error?.code == .permissionDenied && error?.disposition == .notExecuted && executions.value == 0)
        #expect(log.value == ["a begins", "b begins", "a ends PERMISSION_DENIED"])
    }

    @Test func theyAreToldOfFailures() async throws {
        let server = try RunningServer.start(EchoHandlers(.unary { (_, _) throws(RPCError) -> Echo.EchoResponse in throw RPCError(.notFound, reason: "TEST", "x") }))
        defer { server.stop() }
        let log = Shared<[String]>([])
        let channel = try server.channel(configuration: configuration(Recorder(name: "a", log: log)))
        defer { channel.close() }
        _ = await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(30)) }
        // Too large a pair is found after they have begun.
        _ = await failure { () throws(RPCError) in
            try await channel.echo.echo(.init(), options: CallOptions(metadata: [("k", String(repeating: "x", count: 5000))]))
        }
        #expect(log.value == ["a begins", "a ends NOT_FOUND", "a begins", "a ends INVALID_ARGUMENT"])
    }
}
