import ProtoEcho
import ProtoRuntime
import RPC
import RPCClient
import RPCServer
import EmbeddedMongoDB
import TestSupport
import Testing
import ZeroMQ

/// Every call has an outcome, and says whether it ran.
@Suite struct OutcomeTests {
    @Test func aServerThatIsNotThereIsSaid() async throws {
        var configuration = ChannelConfiguration()
        configuration.connectTimeout = .milliseconds(200)
        let channel = try Channel(to: "tcp://127.0.0.1:\(PortPicker.free())", name: "tester", configuration: configuration)
        defer { channel.close() }
        let error = await failure { () throws(RPCError) in try await channel.echo("x") }
        #expect(error?.code == .unavailable && error?.reason == "SERVER_UNREACHABLE" && error?.disposition == .notExecuted)
    }

    @Test func aMalformedEndpointOrNameIsSaid() async throws {
        #expect(throws: RPCError.self) { try Channel(to: "nonsense", name: "tester") }
        #expect(throws: RPCError.self) { try Channel(to: "tcp://127.0.0.1:7400", name: "Not Allowed") }
    }

    @Test func aCallThatRunsTooLongEndsAtItsDeadline() async throws {
        let release = Semaphore()
        let server = try RunningServer.start(EchoHandlers(.unary { (request, _) throws(RPCError) in
            release.wait()
            return Echo.EchoResponse(payload: request.payload)
        }))
        let channel = try server.channel()
        let before = MonotonicTime.now
        let error = await failure { () throws(RPCError) in try await channel.echo("x", timeout: .milliseconds(300)) }
        #expect(error?.code == .deadlineExceeded && error?.disposition == .maybe)
        #expect(MonotonicTime.now.microseconds(since: before) >= 290_000)
        release.signal()
        // The late answer is nobody's: the next call gets its own.
        release.signal()
        #expect(try await channel.echo("next") == "next")
        channel.close()
        server.stop()
    }

    @Test func aCallThatWaitsTooLongDidNotRun() async throws {
        let entered = Gate()
        let release = Semaphore()
        let server = try RunningServer.start(EchoHandlers(.unary(concurrency: 1) { (request, _) throws(RPCError) in
            entered.open()
            release.wait()
            return Echo.EchoResponse(payload: request.payload)
        }))
        let channel = try server.channel()
        async let first = channel.echo("first")
        await entered.wait()
        let error = await failure { () throws(RPCError) in try await channel.echo("x", timeout: .milliseconds(200)) }
        #expect(error?.code == .deadlineExceeded)
        // Whoever notices first, server or client: the server knows that it did not run, the client cannot.
        #expect(error?.metadata["place"] == "queue" ? error?.disposition == .notExecuted : error?.disposition == .maybe)
        // Where the client noticed first, the server may still let it run.
        release.signal()
        release.signal()
        _ = try await first
        channel.close()
        server.stop()
    }

    @Test func cancellingTheTaskCancelsTheCall() async throws {
        let entered = Gate()
        let release = Semaphore()
        let abandoned = Gate()
        let server = try RunningServer.start(EchoHandlers(.unary(concurrency: 1) { (request, context) throws(RPCError) in
            entered.open()
            release.wait()
            if context.isAbandoned { abandoned.open() }
            return Echo.EchoResponse(payload: request.payload)
        }))
        let channel = try server.channel()
        let running = Task { await failure { () throws(RPCError) in try await channel.echo("runs") } }
        await entered.wait()
        let queued = Task { await failure { () throws(RPCError) in try await channel.echo("waits") } }
        try await waitUntilInFlight(2, channel)
        queued.cancel()
        running.cancel()
        let waitedError = await queued.value
        let ranError = await running.value
        #expect(waitedError?.code == .cancelled && waitedError?.disposition == .notExecuted)
        #expect(ranError?.code == .cancelled && ranError?.disposition == .maybe)
        release.signal()
        await abandoned.wait()
        release.signal()
        #expect(try await channel.echo("next") == "next")
        channel.close()
        server.stop()
    }

    @Test func aTaskThatWasCancelledBeforeSendsNothing() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        let channel = try server.channel()
        let started = Gate()
        let task = Task {
            await started.wait()
            return await failure { () throws(RPCError) in try await channel.echo("x") }
        }
        task.cancel()
        started.open()
        let error = await task.value
        #expect(error?.code == .cancelled && error?.disposition == .notExecuted)
        channel.close()
        server.stop()
    }

    @Test func closingAChannelEndsItsCalls() async throws {
        let release = Semaphore()
        let entered = Gate()
        let server = try RunningServer.start(EchoHandlers(.unary { (request, _) throws(RPCError) in
            entered.open()
            release.wait()
            return Echo.EchoResponse(payload: request.payload)
        }))
        let channel = try server.channel()
        let call = Task { await failure { () throws(RPCError) in try await channel.echo("x") } }
        await entered.wait()
        channel.close()
        let error = await call.value
        #expect(error?.reason == "CHANNEL_CLOSED" && error?.disposition == .maybe)
        let later = await failure { () throws(RPCError) in try await channel.echo("x") }
        #expect(later?.reason == "CHANNEL_CLOSED" && later?.disposition == .notExecuted)
        release.signal()
        server.stop()
    }

    @Test func shuttingDownFinishesWhatRunsAndRefusesTheRest() async throws {
        let entered = Gate()
        let release = Semaphore()
        let server = try RunningServer.start(EchoHandlers(.unary { (request, _) throws(RPCError) in
            entered.open()
            release.wait()
            return Echo.EchoResponse(payload: request.payload)
        }))
        let channel = try server.channel()
        async let running = channel.echo("runs")
        await entered.wait()
        let stopping = Task.detached { server.stop() }
        // DRAIN is sent before the call ends: a client that was told sends nothing new and learns of the end.
        let refused = Task { await failure { () throws(RPCError) in try await channel.echo("late", timeout: .seconds(1)) } }
        release.signal()
        release.signal()
        #expect(try await running == "runs")
        await stopping.value
        let error = await refused.value
        #expect(error == nil || error?.disposition == .notExecuted)
        channel.close()
    }

    @Test func aRestartedServerIsFoundAgain() async throws {
        let endpoint = "tcp://127.0.0.1:\(PortPicker.free())"
        let first = try RunningServer.start(EchoHandlers.plain, listen: endpoint)
        let channel = try first.channel()
        #expect(try await channel.echo("one") == "one")
        first.stop()
        let second = try RunningServer.start(EchoHandlers.plain, listen: endpoint)
        #expect(try await channel.echo("two") == "two")
        channel.close()
        second.stop()
    }

    @Test func aTakenPortIsSaid() async throws {
        let first = try RunningServer.start(EchoHandlers.plain)
        defer { first.stop() }
        let error = #expect(throws: RPCError.self) { try RunningServer.start(EchoHandlers.plain, listen: first.endpoint) }
        #expect(error?.reason == "CANNOT_LISTEN")
    }

    @Test func twoMethodsOfOneNameAreRefused() throws {
        let error = #expect(throws: RPCError.self) { try RunningServer.start(EchoHandlers.plain, EchoHandlers.plain) }
        #expect(error?.reason == "METHOD_COLLISION")
    }

    private func waitUntilInFlight(_ count: Int32, _ channel: Channel) async throws {
        let deadline = Deadline.after(.seconds(20))
        let client = Runtime.RuntimeService.Client(channel)
        // The call that asks is in flight, too.
        while !deadline.hasPassed {
            if try await client.stats(Runtime.StatsRequest()).inFlightCount == count + 1 { return }
        }
        Issue.record("\(count) calls were not in flight within 20 seconds")
    }
}
