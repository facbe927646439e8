import ProtoEcho
import RPC
import RPCClient
import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// What the channel does with a call that failed: against real servers, counted in their handlers.
@Suite(.blocking) struct RetryTests {
    /// Echo as a method that must not run twice.
    static let echoOnce = MethodDescriptor<Echo.EchoRequest, Echo.EchoResponse>(Echo.EchoService.echo.fullName, idempotency: .unknown)

    /// A server whose handler does with the n-th call, counted from 1, what `answer` says.
    private func server(
        _ executions: Shared<Int>, _ answer: @escaping @Sendable (Int) throws(RPCError) -> Void
    ) throws -> RunningServer {
        try RunningServer.start(EchoHandlers(.unary { (request, _) throws(RPCError) in
            try answer(executions.withLock { $0 += 1; return $0 })
            return Echo.EchoResponse(payload: request.payload)
        }))
    }

    private func quick(_ change: (inout RetryPolicy) -> Void = { _ in }) -> ChannelConfiguration {
        var configuration = ChannelConfiguration.patient
        configuration.retry = RetryPolicy()
        configuration.retry.initialBackoff = .milliseconds(1)
        change(&configuration.retry)
        return configuration
    }

    private static func refusal(_ code: StatusCode = .unavailable, _ disposition: Disposition = .notExecuted, after delay: Duration? = nil) -> RPCError {
        RPCError(code, reason: "TEST", "not now", disposition: disposition, retryDelay: delay)
    }

    @Test func aRefusedCallIsTriedAgain() async throws {
        let executions = Shared(0)
        let server = try server(executions) { count throws(RPCError) in if count < 3 { throw Self.refusal() } }
        defer { server.stop() }
        let channel = try server.channel(configuration: quick())
        defer { channel.close() }
        let timings = Shared<[CallTimings]>([])
        let options = CallOptions(timeout: .seconds(30)) { time in timings.withLock { $0.append(time) } }
        let response = try await channel.echo.echo(.init(payload: [7]), options: options)
        #expect(response.payload == [7] && executions.value == 3)
        #expect(timings.value.map(\.attempts) == [3] && timings.value.map(\.endpoint) == [server.endpoint])
        #expect(timings.value.allSatisfy { $0.roundTrip > .zero })
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var error: RPCError
        var isIdempotent = true
        var executions: Int
        var policy: RetryPolicy?
    }

    @Test(arguments: [
        Case(testDescription: "three tries", error: refusal(), isIdempotent: false, executions: 3),
        Case(testDescription: "may have run, and may run again", error: refusal(.unavailable, .maybe), executions: 3),
        Case(testDescription: "may have run, and may not run again", error: refusal(.unavailable, .maybe), isIdempotent: false, executions: 1),
        Case(testDescription: "decided", error: refusal(.unavailable, .executed), executions: 1),
        Case(testDescription: "exhausted, with a time to wait", error: refusal(.resourceExhausted, after: .zero), executions: 3),
        Case(testDescription: "exhausted, without", error: refusal(.resourceExhausted), executions: 1),
        Case(testDescription: "another code", error: refusal(.aborted), executions: 1),
        Case(testDescription: "the call's own policy", error: refusal(), executions: 1, policy: .never),
    ]) func whatIsTriedAgain(_ it: Case) async throws {
        let executions = Shared(0)
        let server = try server(executions) { _ throws(RPCError) in throw it.error }
        defer { server.stop() }
        let channel = try server.channel(configuration: quick { $0.maxAttempts = 3 })
        defer { channel.close() }
        let method = it.isIdempotent ? Echo.EchoService.echo : Self.echoOnce
        let error = await failure { () throws(RPCError) in
            try await channel.call(method, .init(), options: CallOptions(timeout: .seconds(30), retry: it.policy))
        }
        #expect(error?.reason == "TEST" && error?.code == it.error.code && error?.disposition == it.error.disposition)
        #expect(executions.value == it.executions)
        #expect(error?.metadata["attempts"] == (it.executions > 1 ? "\(it.executions)" : nil))
    }

    @Test func aMethodHasItsOwnPolicy() async throws {
        let executions = Shared(0)
        let server = try server(executions) { _ throws(RPCError) in throw Self.refusal() }
        defer { server.stop() }
        var configuration = quick()
        configuration.retryByMethod[Echo.EchoService.echo.fullName] = .never
        let channel = try server.channel(configuration: configuration)
        defer { channel.close() }
        _ = await failure { () throws(RPCError) in try await channel.echo("x") }
        #expect(executions.value == 1)
    }

    @Test func theServersWaitIsKept() async throws {
        let executions = Shared(0)
        let times = Shared<[MonotonicTime]>([])
        let server = try server(executions) { count throws(RPCError) in
            times.withLock { $0.append(.now) }
            if count == 1 { throw Self.refusal(.resourceExhausted, after: .milliseconds(200)) }
        }
        defer { server.stop() }
        let channel = try server.channel(configuration: quick())
        defer { channel.close() }
        #expect(try await channel.echo("x", timeout: .seconds(30)) == "x")
        try #require(times.value.count == 2)
        #expect(times.value[1].microseconds(since: times.value[0]) >= 200_000)
    }

    @Test func aWaitThatDoesNotFitIsNotBegun() async throws {
        let server = try server(Shared(0)) { _ throws(RPCError) in throw Self.refusal(after: .seconds(20)) }
        defer { server.stop() }
        let channel = try server.channel(configuration: quick())
        defer { channel.close() }
        let before = MonotonicTime.now
        let error = await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(15)) }
        #expect(error?.reason == "TEST" && error?.metadata["attempts"] == nil)
        #expect(MonotonicTime.now.microseconds(since: before) < 10_000_000)
    }

    /// A server that refuses everything gets hardly more than the calls themselves.
    @Test func aServerThatAlwaysRefusesIsNotHammered() async throws {
        let executions = Shared(0)
        let server = try server(executions) { _ throws(RPCError) in throw Self.refusal() }
        defer { server.stop() }
        let channel = try server.channel(configuration: quick())
        defer { channel.close() }
        // One after another at first, so that the budget is used up by tries, not by calls that fail together.
        for _ in 0..<5 { _ = await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(60)) } }
        #expect(executions.value > 5)
        await withTaskGroup(of: Void.self) { tasks in
            for _ in 0..<20 {
                tasks.addTask {
                    for _ in 0..<25 { _ = await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(60)) } }
                }
            }
        }
        #expect(executions.value <= 505 + 5, "\(executions.value) executions of 505 calls")
    }

    @Test(arguments: [true, false]) func aCallLostInFlightIsRepeatedWhereItMayBe(isIdempotent: Bool) async throws {
        let executions = Shared(0)
        let server = try RunningServer.start(EchoHandlers(.parked { call in
            // The first one gets no answer.
            if executions.withLock({ $0 += 1; return $0 }) > 1 { call.reply(Echo.EchoResponse(payload: call.request.payload)) }
        }), drainTimeout: .milliseconds(100))
        defer { server.stop() }
        let proxy = try TCPProxy(to: server.endpoint)
        defer { proxy.stop() }
        let channel = try Channel(to: proxy.endpoint, name: "tester", configuration: quick())
        defer { channel.close() }
        let method = isIdempotent ? Echo.EchoService.echo : Self.echoOnce
        let call = Task {
            await failure { () throws(RPCError) in try await channel.call(method, .init(), options: CallOptions(timeout: .seconds(60))) }
        }
        #expect(try await eventually { executions.value == 1 })
        proxy.resetAll()
        let error = await call.value
        if isIdempotent {
            #expect(error == nil && executions.value == 2)
        } else {
            #expect(error?.reason == "CONNECTION_LOST" && error?.disposition == .maybe && executions.value == 1)
        }
        #expect(try await channel.echo("next", timeout: .seconds(30)) == "next")
    }

    @Test func cancellingEndsABackoff() async throws {
        let executions = Shared(0)
        let server = try server(executions) { _ throws(RPCError) in throw Self.refusal(after: .seconds(50)) }
        defer { server.stop() }
        let channel = try server.channel(configuration: quick())
        defer { channel.close() }
        let call = Task { await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(120)) } }
        #expect(try await eventually { executions.value == 1 })
        let before = MonotonicTime.now
        call.cancel()
        let error = await call.value
        #expect(error?.code == .cancelled && error?.disposition == .notExecuted && executions.value == 1)
        #expect(MonotonicTime.now.microseconds(since: before) < 20_000_000)
    }

    @Test func closingTheChannelEndsABackoff() async throws {
        let executions = Shared(0)
        let server = try server(executions) { _ throws(RPCError) in throw Self.refusal(.unavailable, .maybe, after: .seconds(50)) }
        defer { server.stop() }
        let channel = try server.channel(configuration: quick())
        let call = Task { await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(120)) } }
        #expect(try await eventually { executions.value == 1 })
        // The answer may be on its way still: closing ends the call either way.
        let before = MonotonicTime.now
        channel.close()
        let error = await call.value
        #expect(error?.reason == "CHANNEL_CLOSED" && error?.disposition == .maybe)
        #expect(MonotonicTime.now.microseconds(since: before) < 20_000_000)
    }
}
