import Foundation
import ProtoEcho
import RPC
import RPCClient
import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// Connections that break with calls in flight: each call ends at once and says so, and the next one works.
@Suite(.blocking) struct ConnectionLossTests {
    /// Calls in flight when the connection goes.
    private static let callCount = 50

    /// Puts calls in flight at a server that holds them, does `harm`, and expects each to end as CONNECTION_LOST, MAYBE.
    private func expectLoss(
        of channel: Channel, entered: Shared<Int>, within limit: Duration = .seconds(5), harm: () async throws -> Void
    ) async throws {
        let calls = (0..<Self.callCount).map { index in
            Task { await failure { () throws(RPCError) in try await channel.echo("hold \(index)", timeout: .seconds(60)) } }
        }
        #expect(try await eventually { entered.value == Self.callCount })
        let before = MonotonicTime.now
        try await harm()
        for call in calls {
            let error = await call.value
            #expect(error?.code == .unavailable && error?.reason == "CONNECTION_LOST" && error?.disposition == .maybe)
        }
        #expect(MonotonicTime.now.microseconds(since: before) < limit.wholeMicroseconds, "ended late")
        #expect(try await channel.echo("next", timeout: .seconds(10)) == "next")
    }

    /// A server that keeps what begins with "hold", and answers the rest.
    private func holdingServer(_ entered: Shared<Int>) throws -> RunningServer {
        let held = Shared<[ServerCall<Echo.EchoRequest, Echo.EchoResponse>]>([])
        return try RunningServer.start(EchoHandlers(.parked { call in
            if call.request.payload.starts(with: Array("hold".utf8)) {
                held.withLock { $0.append(call) }
                entered.withLock { $0 += 1 }
            } else {
                call.reply(Echo.EchoResponse(payload: call.request.payload))
            }
        }), drainTimeout: .milliseconds(100))
    }

    @Test func aResetEndsEachCallAtOnce() async throws {
        let entered = Shared(0)
        let server = try holdingServer(entered)
        defer { server.stop() }
        let proxy = try TCPProxy(to: server.endpoint)
        defer { proxy.stop() }
        let channel = try Channel(to: proxy.endpoint, name: "tester", configuration: .patient)
        defer { channel.close() }
        #expect(try await channel.echo("first") == "first")
        try await expectLoss(of: channel, entered: entered) { proxy.resetAll() }
        #expect(proxy.acceptedCount == 2)
    }

    /// The same by the kernel's own hand, as an administrator would: `ss -K` needs root and CONFIG_INET_DIAG_DESTROY.
    @Test(.enabled("ss -K needs root, iproute2 and a kernel with CONFIG_INET_DIAG_DESTROY") { try ConnectionLossTests.canKillSockets() })
    func ssKillEndsEachCallAtOnce() async throws {
        let entered = Shared(0)
        let server = try holdingServer(entered)
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        #expect(try await channel.echo("first") == "first")
        let port = port(of: server.endpoint)
        try await expectLoss(of: channel, entered: entered) {
            let output = try await onThread { try run("ss", "-K", "dst", "127.0.0.1", "dport", "=", ":\(port)") }
            #expect(output.contains(":\(port)"), "ss killed nothing: \(output)")
        }
    }

    /// Whether `ss -K` kills a connection of this process.
    static func canKillSockets() throws -> Bool {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        guard withLoopback(port: 0, { bind(listener, $0, $1) }) == 0, listen(listener, 1) == 0 else { return false }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(listener, $0, &length) }
        }
        let port = UInt16(bigEndian: address.sin_port)
        let probe = try TCPStream(port: port)
        _ = try? run("ss", "-K", "dst", "127.0.0.1", "dport", "=", ":\(port)")
        return probe.read(milliseconds: 200)?.isEmpty == true
    }

    /// Connections that go while answers stream in, many times over: a loss is noticed anywhere between two frames, and libzmq must
    /// not be brought to abort the process by it (docs/decisions/a-socket-a-connection.md).
    @Test func connectionsAreLostInTheMidstOfAnswers() async throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        defer { server.stop() }
        let proxy = try TCPProxy(to: server.endpoint)
        defer { proxy.stop() }
        let channel = try Channel(to: proxy.endpoint, name: "tester", configuration: .patient)
        defer { channel.close() }
        let isOver = Shared(false)
        let answered = Shared(0)
        let callers = (0..<256).map { index in
            Task {
                var unexpected: [RPCError] = []
                while !isOver.value {
                    let error = await failure { () throws(RPCError) in _ = try await channel.echo("call \(index)", timeout: .seconds(20)) }
                    if let error, error.reason != "CONNECTION_LOST" { unexpected.append(error) }
                    if error == nil { answered.withLock { $0 += 1 } }
                }
                return unexpected
            }
        }
        for _ in 0..<(Seeds.isLong ? 2_000 : 100) {
            let before = answered.value
            #expect(try await eventually { answered.value > before + 500 })
            proxy.resetAll()
        }
        isOver.withLock { $0 = true }
        for caller in callers { #expect(await caller.value == []) }
        #expect(try await channel.echo("next", timeout: .seconds(10)) == "next")
    }

    /// A server that is there and says nothing is found out by PING.
    @Test func aSilentServerIsFoundOut() async throws {
        let entered = Shared(0)
        let server = try holdingServer(entered)
        defer { server.stop() }
        let proxy = try TCPProxy(to: server.endpoint)
        defer { proxy.stop() }
        var configuration = ChannelConfiguration.patient
        configuration.silenceLimit = .milliseconds(700)
        let channel = try Channel(to: proxy.endpoint, name: "tester", configuration: configuration)
        defer { channel.close() }
        #expect(try await channel.echo("first") == "first")
        try await expectLoss(of: channel, entered: entered, within: .seconds(10)) {
            proxy.setBlackHole(true)
            let isNoticed = try await eventually { proxy.acceptedCount == 2 }
            #expect(isNoticed, "the client did not connect anew")
            proxy.setBlackHole(false)
            // What the second connection had said into the black hole is lost: it has to begin again, too.
            proxy.resetAll()
        }
    }

    /// Calls whose deadline passes while they cannot be sent end in time and were not executed, and the client sleeps
    /// meanwhile: a full pipe is nothing to spin on.
    @Test func aServerThatReadsNothingCostsNoProcessor() async throws {
        let server = try PeerProcess("echo-server")
        defer { server.end() }
        let channel = try Channel(to: server.endpoint, name: "tester", configuration: .patient)
        defer { channel.close() }
        #expect(try await channel.echo("first", timeout: .seconds(20)) == "first")
        try server.stopAllThreads()
        let large = String(repeating: "x", count: 100_000)
        let calls = (0..<1500).map { _ in
            Task { await failure { () throws(RPCError) in try await channel.echo(large, timeout: .seconds(4)) } }
        }
        // A sample of a second, once the pipe has filled: a thread that spins uses all of it.
        try await Task.sleep(for: .seconds(1))
        let before = try clientThreadTicks()
        try await Task.sleep(for: .seconds(1))
        let used = try clientThreadTicks().map { $0.value - (before[$0.key] ?? $0.value) }.max()
        let errors = await withTaskGroup(of: RPCError?.self) { group in
            for call in calls { group.addTask { await call.value } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        server.signal(SIGCONT)
        #expect(errors.allSatisfy { $0 != nil })
        #expect(errors.contains { $0?.disposition == .maybe } && errors.contains { $0?.disposition == .notExecuted })
        #expect(used ?? 0 < 50, "a client's thread used \(used ?? 0) of 100 ticks")
        #expect(try await channel.echo("next", timeout: .seconds(20)) == "next")
    }

    /// A stopped server's calls end by their deadline; once it goes on, work that waited too long is not done any more.
    @Test func aStoppedServerGoesOn() async throws {
        let server = try PeerProcess("echo-server")
        defer { server.end() }
        let channel = try Channel(to: server.endpoint, name: "tester", configuration: .patient)
        defer { channel.close() }
        #expect(try await channel.echo("first", timeout: .seconds(20)) == "first")
        try server.stopAllThreads()
        let error = await failure { () throws(RPCError) in try await channel.echo("stopped", timeout: .milliseconds(500)) }
        #expect(error?.code == .deadlineExceeded && error?.disposition == .maybe)
        server.signal(SIGCONT)
        #expect(try await channel.echo("next", timeout: .seconds(20)) == "next")
    }

    /// A killed server's calls end at once; the next one waits for its successor.
    @Test func aKilledServersCallsEndAtOnce() async throws {
        let server = try PeerProcess("holding-server")
        let channel = try Channel(to: server.endpoint, name: "tester", configuration: .patient)
        defer { channel.close() }
        let calls = (0..<20).map { _ in
            Task { await failure { () throws(RPCError) in try await channel.echo("x", timeout: .seconds(60)) } }
        }
        #expect(try server.readLine() == "holds 20")
        let before = MonotonicTime.now
        server.end()
        for call in calls {
            let error = await call.value
            #expect(error?.reason == "CONNECTION_LOST" && error?.disposition == .maybe)
        }
        #expect(MonotonicTime.now.microseconds(since: before) < 5_000_000)
        let successor = try PeerProcess("echo-server", port: server.port)
        defer { successor.end() }
        #expect(try await channel.echo("next", timeout: .seconds(20)) == "next")
    }

    /// Processor time, in ticks of 10 ms, of each thread that serves a channel of this process.
    private func clientThreadTicks() throws -> [String: Int] {
        var ticks: [String: Int] = [:]
        for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task") {
            // A thread may end while this looks.
            guard let line = try? String(contentsOfFile: "/proc/self/task/\(thread)/stat", encoding: .utf8), line.contains("(rpc-client)")
            else { continue }
            // The fields from the third one on (proc_pid_stat(5)); times are the 14th and 15th.
            let fields = line[line.index(after: line.lastIndex(of: ")") ?? line.startIndex)...].split(separator: " ")
            ticks[thread] = (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0)
        }
        return ticks
    }
}
