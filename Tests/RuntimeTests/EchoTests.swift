import ProtoEcho
import ProtoRuntime
import RPC
import RPCClient
import RPCServer
import Testing
import ZeroMQ

@Suite struct EchoTests {
    @Test func aCallComesBack() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        #expect(try await channel.echo("hello") == "hello")
        #expect(try await channel.echo("") == "")
    }

    @Test func manyCallsAtOnceAreNotMixedUp() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let calls = try await withThrowingTaskGroup(of: Int.self) { group in
            for client in 0..<8 {
                group.addTask {
                    let channel = try server.channel(name: "client-\(client)")
                    defer { channel.close() }
                    return try await withThrowingTaskGroup(of: Void.self) { calls in
                        for call in 0..<500 {
                            calls.addTask {
                                let canary = "\(client)/\(call)"
                                let answer = try await channel.echo(canary, timeout: .seconds(30))
                                #expect(answer == canary)
                            }
                        }
                        try await calls.waitForAll()
                        return 500
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(calls == 4000)
        try await expectBalance(server)
    }

    /// received = answered + refused + dropped + in flight, seen from the one call that asks.
    private func expectBalance(_ server: RunningServer) async throws {
        let channel = try server.channel(name: "auditor")
        defer { channel.close() }
        let stats = try await Runtime.RuntimeService.Client(channel).stats(Runtime.StatsRequest())
        let accounted = stats.answeredCount + stats.refusedCounts.values.reduce(0, +)
            + stats.droppedCounts.values.reduce(0, +) + Int64(stats.inFlightCount)
        #expect(stats.receivedCount == accounted)
        #expect(stats.inFlightCount == 1)
    }

    @Test func aLargePayloadAndOneThatIsTooLarge() async throws {
        var limits = ServerLimits()
        limits.maxRequestBytes = 1 << 20
        let server = try RunningServer.start(EchoHandlers.plain, limits: limits)
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        // A tag and a length of three bytes come before the bytes.
        let fitting = [UInt8](repeating: 1, count: (1 << 20) - 4)
        #expect(try await channel.echo.echo(Echo.EchoRequest(payload: fitting)).payload == fitting)
        let error = await failure { () throws(RPCError) in try await channel.echo.echo(Echo.EchoRequest(payload: fitting + [1])) }
        #expect(error?.code == .resourceExhausted && error?.reason == "MESSAGE_TOO_LARGE" && error?.disposition == .notExecuted)
        #expect(try await channel.echo("next") == "next")
    }

    /// What fits the announced limits fits the codec's, too.
    @Test func theLargestPayloadIsUnderstoodAtBothEnds() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        let channel = try server.channel()
        // A tag and four bytes of length stand before it.
        let payload = [UInt8](repeating: 7, count: ServerLimits().maxRequestBytes - 5)
        let answer = try await channel.echo.echo(Echo.EchoRequest(payload: payload), options: CallOptions(timeout: .seconds(20)))
        #expect(answer.payload == payload)
        channel.close()
        server.stop()
    }

    @Test func metadataAndTraceReachTheHandler() async throws {
        let seen = Shared<[String]>([])
        let server = try RunningServer.start(EchoHandlers(.unary { (request, context) throws(RPCError) in
            seen.withLock { $0 = [context.identity.name, context.traceparent ?? ""] + context.metadata.map { "\($0.key)=\($0.value)" } }
            return Echo.EchoResponse(payload: request.payload)
        }))
        defer { server.stop() }
        let channel = try server.channel(name: "alice")
        defer { channel.close() }
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        _ = try await channel.echo.echo(
            Echo.EchoRequest(), options: CallOptions(metadata: [("tenant", "blue")], traceparent: trace))
        #expect(seen.value == ["alice", trace, "tenant=blue"])
    }

    @Test func anUnknownMethodIsSaid() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        let method = MethodDescriptor<Echo.EchoRequest, Echo.EchoResponse>("orderwire.echo.v1.EchoService/Nothing", idempotency: .unknown)
        let error = await failure { () throws(RPCError) in try await channel.call(method, Echo.EchoRequest(), options: CallOptions()) }
        #expect(error?.code == .unimplemented && error?.reason == "METHOD_NOT_FOUND" && error?.disposition == .notExecuted)
    }

    @Test func aHandlersFailureArrivesWhole() async throws {
        let failing = RPCError(
            .failedPrecondition, reason: "OUT_OF_TEA", "no tea", metadata: ["kind": "green"], retryDelay: .milliseconds(20))
        let server = try RunningServer.start(EchoHandlers(.unary { (_, _) throws(RPCError) -> Echo.EchoResponse in throw failing }))
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        #expect(await failure { () throws(RPCError) in try await channel.echo("x") } == failing)
    }

    @Test func aHandlerThatForgetsToAnswerIsOurBug() async throws {
        let server = try RunningServer.start(EchoHandlers(.gathered { _ in }))
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        let error = await failure { () throws(RPCError) in try await channel.echo("x") }
        #expect(error?.code == .internalError && error?.disposition == .maybe)
    }

    @Test func healthKnowsServices() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        let health = Runtime.HealthService.Client(channel)
        #expect(try await health.check(Runtime.CheckRequest()).status == .serving)
        #expect(try await health.check(Runtime.CheckRequest(service: "orderwire.echo.v1.EchoService")).status == .serving)
        #expect(try await health.check(Runtime.CheckRequest(service: "no.such")).status == .serviceUnknown)
    }
}
