import EmbeddedMongoDB
import Glibc
import ProtoEcho
import RPC
import RPCClient
import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// One channel to several servers: who gets a call, and what becomes of it while servers come and go.
@Suite(.blocking) struct SeveralServersTests {
    /// Counts what it carries out, by payload.
    private final class Tally: Sendable {
        let counts = Shared<[[UInt8]: Int]>([:])

        var handlers: EchoHandlers {
            EchoHandlers(.unary { [counts] (request, _) throws(RPCError) in
                counts.withLock { $0[request.payload, default: 0] += 1 }
                return Echo.EchoResponse(payload: request.payload)
            })
        }

        var total: Int { counts.withLock { $0.values.reduce(0, +) } }
    }

    private func retrying(_ change: (inout ChannelConfiguration) -> Void = { _ in }) -> ChannelConfiguration {
        var configuration = ChannelConfiguration.patient
        configuration.retry = RetryPolicy()
        change(&configuration)
        return configuration
    }

    /// What callers of a load have seen.
    private struct Outcomes: Sendable {
        var succeeded = 0
        var errors: [RPCError] = []
    }

    /// Calls without a break from `callers` tasks, each call with a payload of its own, while `body` runs.
    private func underLoad(
        _ channel: Channel, callers: Int = 32, method: MethodDescriptor<Echo.EchoRequest, Echo.EchoResponse> = Echo.EchoService.echo,
        _ body: @escaping @Sendable (_ succeeded: @Sendable () -> Int) async throws -> Void
    ) async throws -> Outcomes {
        let isOver = Shared(false)
        let outcomes = Shared(Outcomes())
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for caller in 0..<callers {
                tasks.addTask {
                    var number = 0
                    while !isOver.value {
                        number += 1
                        let payload = Array("\(caller)/\(number)".utf8)
                        do throws(RPCError) {
                            let response = try await channel.call(
                                method, .init(payload: payload), options: CallOptions(timeout: .seconds(60)))
                            #expect(response.payload == payload)
                            outcomes.withLock { $0.succeeded += 1 }
                        } catch {
                            outcomes.withLock { $0.errors.append(error) }
                        }
                    }
                }
            }
            tasks.addTask {
                defer { isOver.withLock { $0 = true } }
                try await body { outcomes.value.succeeded }
            }
            try await tasks.waitForAll()
        }
        return outcomes.value
    }

    /// Waits for another `count` calls to succeed.
    private static func more(_ count: Int, _ succeeded: @Sendable () -> Int) async throws {
        let goal = succeeded() + count
        #expect(try await eventually { succeeded() >= goal }, "the load stands still at \(succeeded()) calls")
    }

    @Test func manyTasksSpreadOverAllServers() async throws {
        let tallies = (0..<3).map { _ in Tally() }
        let servers = try tallies.map { try RunningServer.start($0.handlers) }
        defer { for server in servers { server.stop() } }
        let channel = try Channel(to: servers.map(\.endpoint), name: "tester", configuration: .patient)
        defer { channel.close() }
        // Each has its session.
        for server in servers { _ = try await channel.echo.echo(.init(), options: CallOptions(timeout: .seconds(20), endpoint: server.endpoint)) }
        let outcomes = try await underLoad(channel, callers: 64) { try await Self.more(6000, $0) }
        #expect(outcomes.errors.isEmpty)
        let counts = tallies.map(\.total)
        #expect(counts.reduce(0, +) == outcomes.succeeded + 3)
        for count in counts { #expect(count > outcomes.succeeded / 6, "\(counts)") }
    }

    /// The server that is busy gets less.
    @Test func aBusyServerIsSpared() async throws {
        let counts = [Shared(0), Shared(0)]
        let servers = try counts.enumerated().map { index, count in
            try RunningServer.start(EchoHandlers(.unary { (request, _) throws(RPCError) in
                count.withLock { $0 += 1 }
                // One is twenty times as slow as the other.
                usleep(index == 0 ? 20_000 : 1_000)
                return Echo.EchoResponse(payload: request.payload)
            }))
        }
        defer { for server in servers { server.stop() } }
        let channel = try Channel(to: servers.map(\.endpoint), name: "tester", configuration: .patient)
        defer { channel.close() }
        for server in servers { _ = try await channel.echo.echo(.init(), options: CallOptions(timeout: .seconds(20), endpoint: server.endpoint)) }
        let outcomes = try await underLoad(channel, callers: 16) { try await Self.more(1000, $0) }
        #expect(outcomes.errors.isEmpty)
        #expect(counts[0].value * 3 < counts[1].value, "slow \(counts[0].value), fast \(counts[1].value)")
    }

    /// Servers that are away cost a call nothing while another is there.
    @Test func aServerThatIsAwayIsPassedOver() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let nobody = "tcp://127.0.0.1:\(PortPicker.free())"
        let channel = try Channel(to: [nobody, server.endpoint], name: "tester", configuration: .patient)
        defer { channel.close() }
        // Some of the first calls wait for the one that is away, until the other is ready.
        await withTaskGroup(of: RPCError?.self) { tasks in
            for _ in 0..<50 {
                tasks.addTask { await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(15)) } }
            }
            for await error in tasks { #expect(error == nil) }
        }
        let error = await failure { () throws(RPCError) in
            try await channel.echo.echo(.init(), options: CallOptions(timeout: .milliseconds(300), endpoint: nobody))
        }
        #expect(error?.reason == "SERVER_UNREACHABLE" && error?.disposition == .notExecuted)
        let unknown = await failure { () throws(RPCError) in
            try await channel.echo.echo(.init(), options: CallOptions(endpoint: "tcp://127.0.0.1:1"))
        }
        #expect(unknown?.reason == "INVALID_ENDPOINT")
    }

    /// Calls that wait while all are away are sent to whoever comes first.
    @Test func waitingCallsGoToTheFirstThatComes() async throws {
        let endpoints = (0..<3).map { _ in "tcp://127.0.0.1:\(PortPicker.free())" }
        let channel = try Channel(to: endpoints, name: "tester", configuration: .patient)
        defer { channel.close() }
        let calls = (0..<60).map { index in
            Task { await failure { () throws(RPCError) in try await channel.echo("\(index)", timeout: .seconds(60)) } }
        }
        let cancelled = Task { await failure { () throws(RPCError) in try await channel.echo("cancelled", timeout: .seconds(60)) } }
        try await Task.sleep(for: .milliseconds(50))
        cancelled.cancel()
        #expect(await cancelled.value?.code == .cancelled)
        let server = try RunningServer.start(EchoHandlers.plain, listen: endpoints[1])
        defer { server.stop() }
        for call in calls { #expect(await call.value == nil) }
    }

    @Test func aChannelNeedsAnEndpoint() {
        let error = #expect(throws: RPCError.self) { try Channel(to: [], name: "tester") }
        #expect(error?.reason == "INVALID_ENDPOINT")
        let other = #expect(throws: RPCError.self) { try Channel(to: ["tcp://127.0.0.1:7400", "nonsense"], name: "tester") }
        #expect(other?.reason == "INVALID_ENDPOINT")
    }

    /// Servers that drain and start again, one after the other, over and over: no call fails, be it one that may run once only and
    /// is never tried again; and each runs once.
    @Test func aRollingRestartFailsNoCall() async throws {
        let tally = Tally()
        let servers = Shared(try (0..<2).map { _ in try RunningServer.start(tally.handlers) })
        defer { for server in servers.value { server.stop() } }
        let channel = try Channel(to: servers.value.map(\.endpoint), name: "tester", configuration: .patient)
        defer { channel.close() }
        let outcomes = try await underLoad(channel, method: RetryTests.echoOnce) { succeeded in
            for round in 0..<6 {
                try await Self.more(500, succeeded)
                let old = servers.value[round % 2]
                let endpoint = old.endpoint
                let new = try await onThread {
                    old.stop()
                    return try RunningServer.start(tally.handlers, listen: endpoint)
                }
                servers.withLock { $0[round % 2] = new }
            }
            try await Self.more(500, succeeded)
        }
        #expect(outcomes.errors.isEmpty, "\(outcomes.errors.count) failed, first: \(outcomes.errors.first.map { "\($0)" } ?? "")")
        #expect(tally.total == outcomes.succeeded && tally.counts.value.values.allSatisfy { $0 == 1 })
    }

    /// The same without notice: no call fails that may run twice.
    @Test func killingOneOfTwoFailsNoIdempotentCall() async throws {
        let servers = Shared(try (0..<2).map { _ in try PeerProcess("echo-server") })
        defer { for server in servers.value { server.end() } }
        let channel = try Channel(to: servers.value.map(\.endpoint), name: "tester", configuration: retrying())
        defer { channel.close() }
        let outcomes = try await underLoad(channel, callers: 64) { succeeded in
            for round in 0..<4 {
                // Both are there, or the next kill would leave nobody.
                for server in servers.value {
                    _ = try await channel.echo.echo(.init(), options: CallOptions(timeout: .seconds(20), endpoint: server.endpoint))
                }
                try await Self.more(1000, succeeded)
                let old = servers.value[round % 2]
                _ = try await onThread { old.end() }
                try await Self.more(1000, succeeded)
                let new = try await onThread { try PeerProcess("echo-server", port: old.port) }
                servers.withLock { $0[round % 2] = new }
            }
        }
        #expect(outcomes.errors.isEmpty, "\(outcomes.errors.count) failed, first: \(outcomes.errors.first.map { "\($0)" } ?? "")")
    }

    /// A server that is stopped is left within a heartbeat, and comes back by itself.
    @Test func aStoppedServerIsLeftAndComesBack() async throws {
        let servers = try (0..<2).map { _ in try PeerProcess("echo-server") }
        defer { for server in servers { server.end() } }
        let channel = try Channel(to: servers.map(\.endpoint), name: "tester", configuration: .patient)
        defer { channel.close() }
        for server in servers { _ = try await channel.echo.echo(.init(), options: CallOptions(timeout: .seconds(20), endpoint: server.endpoint)) }
        try servers[0].stopAllThreads()
        let stopped = MonotonicTime.now
        // One caller has nothing in flight to go by: it meets the stopped server again and again, until that is known.
        var lastFailure = stopped
        var inARow = 0
        while inARow < 200, MonotonicTime.now.microseconds(since: stopped) < 30_000_000 {
            let began = MonotonicTime.now
            let error = await failure { () throws(RPCError) in try await channel.echo("x", timeout: .milliseconds(100)) }
            if error == nil { inARow += 1 } else { (inARow, lastFailure) = (0, began) }
        }
        // The peer's heartbeat is 500 ms; the rest is this machine's, whose other half may be busy.
        #expect(inARow == 200 && lastFailure.microseconds(since: stopped) < 500_000 + 5_000_000)
        servers[0].signal(SIGCONT)
        let returned = Shared(false)
        let back = servers[0].endpoint
        #expect(try await eventually {
            _ = try await channel.echo.echo(.init(), options: CallOptions(timeout: .seconds(20)) { time in
                if time.endpoint == back { returned.withLock { $0 = true } }
            })
            return returned.value
        })
    }

    /// A server that refuses with a time to wait is spared for that time.
    @Test func aServerThatRefusesIsSpared() async throws {
        let wait = Duration.milliseconds(200)
        let callers = 16
        let refused = Shared(0)
        let refusing = try RunningServer.start(EchoHandlers(.unary { (_, _) throws(RPCError) -> Echo.EchoResponse in
            refused.withLock { $0 += 1 }
            throw RPCError(.resourceExhausted, reason: "TEST", "full", disposition: .notExecuted, retryDelay: wait)
        }))
        defer { refusing.stop() }
        let plain = try RunningServer.start(EchoHandlers.plain)
        defer { plain.stop() }
        // No retries: callers that wait would spare it, too.
        let channel = try Channel(to: [refusing.endpoint, plain.endpoint], name: "tester", configuration: .patient)
        defer { channel.close() }
        _ = try await channel.echo.echo(.init(), options: CallOptions(timeout: .seconds(20), endpoint: plain.endpoint))
        let began = MonotonicTime.now
        let outcomes = try await underLoad(channel, callers: callers) { try await Self.more(3000, $0) }
        // Those that were on their way when it refused the first of them come on top.
        let waits = Int(MonotonicTime.now.microseconds(since: began) / wait.wholeMicroseconds) + 1
        #expect(refused.value <= callers * waits && outcomes.errors.count == refused.value, "\(refused.value) refusals in \(waits) waits")
    }

    /// All calls that a killed server had are lost by one event, which leaves enough of its retry budget for them all.
    @Test func killingTheOnlyServerFailsNoIdempotentCall() async throws {
        let server = Shared(try PeerProcess("echo-server"))
        defer { server.value.end() }
        let channel = try Channel(to: server.value.endpoint, name: "tester", configuration: retrying())
        defer { channel.close() }
        let outcomes = try await underLoad(channel, callers: 64) { succeeded in
            for _ in 0..<3 {
                try await Self.more(1000, succeeded)
                let old = server.value
                let new = try await onThread {
                    old.end()
                    return try PeerProcess("echo-server", port: old.port)
                }
                server.withLock { $0 = new }
            }
            try await Self.more(1000, succeeded)
        }
        #expect(outcomes.errors.isEmpty, "\(outcomes.errors.count) failed, first: \(outcomes.errors.first.map { "\($0)" } ?? "")")
    }

    /// Whoever waits for a server is answered as soon as that is up: nothing waits for a timeout.
    @Test func aRestartedServerAnswersAtOnce() async throws {
        var server = try PeerProcess("echo-server")
        defer { server.end() }
        var delays: [UInt64] = []
        // The call may be on its way before the client knows that the server is gone.
        let channel = try Channel(to: server.endpoint, name: "tester", configuration: retrying())
        defer { channel.close() }
        for round in 0..<5 {
            #expect(try await channel.echo("before", timeout: .seconds(20)) == "before")
            server.end()
            let answered = Task {
                let answer = try await channel.echo("\(round)", timeout: .seconds(60))
                return (answer, MonotonicTime.now)
            }
            // Long enough for a client that tries less and less often.
            try await Task.sleep(for: .milliseconds(700))
            let port = server.port
            server = try await onThread { try PeerProcess("echo-server", port: port) }
            let ready = MonotonicTime.now
            let (answer, time) = try await answered.value
            #expect(answer == "\(round)")
            delays.append(time.microseconds(since: ready))
        }
        print("answered after the server was ready: \(delays.map { "\($0) us" })")
        // Two pauses between tries to connect, the greeting and the call; the rest is this machine's.
        #expect(delays.sorted()[2] < 200_000)
    }
}
