import ProtoEcho
import ProtoRuntime
import RPC
import RPCClient
import RPCServer
import Testing
import ZeroMQ

@Suite struct DispatchTests {
    /// While one batch is held, what comes waits; then all of it goes as one batch.
    @Test func gatheredCallsThatWaitGoTogether() async throws {
        let sizes = Shared<[Int]>([])
        let entered = Gate()
        let release = Semaphore()
        let server = try RunningServer.start(EchoHandlers(.gathered { calls in
            let isFirst = sizes.withLock { $0.append(calls.count); return $0.count == 1 }
            if isFirst {
                entered.open()
                release.wait()
            }
            for call in calls { call.reply(Echo.EchoResponse(payload: call.request.payload)) }
        }))
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        async let first = channel.echo("first")
        await entered.wait()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<100 { group.addTask {
                    let answer = try await channel.echo("\(index)")
                    #expect(answer == "\(index)")
                } }
            try await waitUntilQueued(100, channel)
            release.signal()
            try await group.waitForAll()
        }
        #expect(try await first == "first")
        #expect(sizes.value == [1, 100])
        let stats = try await Runtime.RuntimeService.Client(channel).stats(Runtime.StatsRequest())
        let echo = try #require(stats.methods.first { $0.method == Echo.EchoService.echo.fullName })
        #expect(echo.callCount == 101 && echo.batchCount == 2 && echo.largestBatch == 100)
    }

    /// Equal requests that wait cost one execution; different ones keep theirs.
    @Test func coalescedCallsShareAnExecution() async throws {
        let executed = Shared<[String]>([])
        let entered = Gate()
        let release = Semaphore()
        let server = try RunningServer.start(EchoHandlers(.coalesced(concurrency: 1) { (request, _) throws(RPCError) in
            let text = String(decoding: request.payload, as: UTF8.self)
            let isFirst = executed.withLock { $0.append(text); return $0.count == 1 }
            if isFirst {
                entered.open()
                release.wait()
            }
            return Echo.EchoResponse(payload: request.payload)
        }))
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        async let first = channel.echo("same")
        await entered.wait()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<60 {
                let text = index % 3 == 0 ? "other" : "same"
                group.addTask {
                    let answer = try await channel.echo(text)
                    #expect(answer == text)
                }
            }
            try await waitUntilQueued(60, channel)
            release.signal()
            try await group.waitForAll()
        }
        #expect(try await first == "same")
        // The one that ran already had not seen the later ones arrive: they share a second execution.
        #expect(executed.value.sorted() == ["other", "same", "same"])
    }

    /// A parked call holds no worker: with one worker, other calls are answered meanwhile.
    @Test func aParkedCallHoldsNoWorker() async throws {
        let parked = Shared<[ServerCall<Echo.EchoRequest, Echo.EchoResponse>]>([])
        let entered = Gate()
        let server = try RunningServer.start(EchoHandlers(.parked { call in
            if call.request.payload == Array("wait".utf8) {
                parked.withLock { $0.append(call) }
                entered.open()
            } else {
                call.reply(Echo.EchoResponse(payload: call.request.payload))
            }
        }), workers: 1)
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        async let waiting = channel.echo("wait")
        await entered.wait()
        #expect(try await channel.echo("quick") == "quick")
        for call in parked.value { call.reply(Echo.EchoResponse(payload: Array("done".utf8))) }
        #expect(try await waiting == "done")
    }

    /// A client with a thousand waiting calls does not keep another one waiting for all of them.
    @Test func clientsAreServedInTurn() async throws {
        let order = Shared<[String]>([])
        let entered = Gate()
        let release = Semaphore()
        let server = try RunningServer.start(EchoHandlers(.unary(concurrency: 1) { (request, context) throws(RPCError) in
            let isFirst = order.withLock { $0.append(context.identity.name); return $0.count == 1 }
            if isFirst {
                entered.open()
                release.wait()
            }
            return Echo.EchoResponse(payload: request.payload)
        }))
        defer { server.stop() }
        let greedy = try server.channel(name: "greedy")
        let modest = try server.channel(name: "modest")
        defer { greedy.close(); modest.close() }
        async let first = greedy.echo("first")
        await entered.wait()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<1000 { group.addTask { _ = try await greedy.echo("x", timeout: .seconds(30)) } }
            try await waitUntilQueued(1000, greedy)
            for _ in 0..<5 { group.addTask { _ = try await modest.echo("y", timeout: .seconds(30)) } }
            try await waitUntilQueued(1005, greedy)
            release.signal()
            try await group.waitForAll()
        }
        _ = try await first
        #expect(order.value.prefix(12).filter { $0 == "modest" }.count == 5)
    }
}
