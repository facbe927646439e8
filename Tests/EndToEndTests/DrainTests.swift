import EmbeddedMongoDB
import Glibc
import ProtoRuntime
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing
import ZeroMQ

extension EndToEnd {
    /// SIGTERM: whoever is connected is told, what runs ends or is refused, and the process is gone with 0 within 10 s.
    @Suite struct DrainTests {
        private static let limit = Duration.seconds(10)

        /// Sends SIGTERM, and checks how long the end takes, and which it is.
        private func terminate(_ server: ServerProcess, expecting expected: ChildProcess.End = .exited(0)) async {
            let start = ContinuousClock.now
            server.process.signal(SIGTERM)
            let isGone = await server.process.ends(within: .seconds(30))
            let time = ContinuousClock.now - start
            print("ended after \(time)")
            #expect(isGone && time < Self.limit)
            if isGone { #expect(await server.process.ended() == expected, "\(server.process.errors.soFar)") }
        }

        @Test func aServerThatNobodyUses() async throws {
            try await ServerProcess.with(.external(uri: TestMongo.shared.uri)) { await terminate($0) }
        }

        /// The client library says BYE by itself.
        @Test func aClientThatIsIdle() async throws {
            try await ServerProcess.with(.external(uri: TestMongo.shared.uri)) { server in
                try await server.withChannel { channel in
                    _ = try await channel.catalog.listProducts(.init(), options: patient)
                    await terminate(server)
                    let options = CallOptions(timeout: .seconds(5))
                    let error = await #expect(throws: RPCError.self) { try await channel.catalog.listProducts(.init(), options: options) }
                    #expect(error?.code == .unavailable && error?.disposition == .notExecuted)
                }
            }
        }

        /// Clients that only listen are told of the drain and of the end, and cannot hold it up.
        @Test func clientsThatNeverSayBye() async throws {
            try await ServerProcess.with(.external(uri: TestMongo.shared.uri)) { server in
                let heard = Task.detached { [endpoint = server.endpoint] in try Listener.listen(to: endpoint, count: 20) }
                // The session that asks is one more.
                try await wait(on: server) { $0.sessionCount == 21 }
                await terminate(server)
                for types in try await heard.value { #expect(types == [.helloAck, .drain, .bye]) }
            }
        }

        /// Orders that are waited for are answered as they stand: parked calls hold up nobody.
        @Test func callsThatWaitForAnEvent() async throws {
            try await withMongod { uri in
                try await ServerProcess.with(.external(uri: uri)) { server in
                    try await server.withChannel { channel in
                        let product = Catalog.Product(
                            id: "p", name: "Product", category: "Things", price: .init(currencyCode: "USD", units: 1), stock: 1)
                        try await channel.catalog.importAll([product])
                        let feed = CallOptions(timeout: .seconds(60))
                        let waits = (0..<20).map { number in
                            Task { () -> RPCError? in
                                do throws(RPCError) {
                                    _ = try await channel.orders.waitOrder(
                                        .init(id: "AAAAAAAAAAAAAAAAAAAAAAAA\(number + 10)", waitTime: .init(seconds: 60)), options: feed)
                                    return nil
                                } catch { return error }
                            }
                        }
                        await terminate(server)
                        for wait in waits {
                            let error = await wait.value
                            #expect(error == nil || error?.code == .unavailable || error?.code == .notFound, "\(String(describing: error))")
                        }
                    }
                }
            }
        }

        /// Handlers wait for a database that stands still: their calls end without it.
        @Test func aDatabaseThatStandsStill() async throws {
            let mongod = try EmbeddedMongod.start()
            defer { mongod.discard() }
            try await ServerProcess.with(.external(uri: mongod.uri)) { server in
                try await server.withChannel { channel in
                    _ = try await channel.catalog.listProducts(.init(), options: patient)
                    try stopAllThreads(of: mongod.pid)
                    let calls = (0..<200).map { number in
                        Task { () -> RPCError? in
                            do throws(RPCError) {
                                _ = try await channel.catalog.listProducts(.init(pageSize: Int32(number + 1)), options: patient)
                                return nil
                            } catch { return error }
                        }
                    }
                    // The one that asks has to wait for a worker, too; meanwhile some calls end.
                    try await wait(on: server) { $0.inFlightCount > 100 }
                    await terminate(server)
                    mongod.signal(SIGCONT)
                    for call in calls {
                        let error = await call.value
                        // Refused because the wait would be too long, failed for want of a database, or told of the end.
                        #expect(error?.code == .unavailable || error?.code == .resourceExhausted, "\(String(describing: error))")
                    }
                }
            }
        }

        /// Who cannot wait says so a second time.
        @Test func aSecondSignalEndsItAtOnce() async throws {
            let mongod = try EmbeddedMongod.start()
            defer { mongod.discard() }
            try await ServerProcess.with(.external(uri: mongod.uri)) { server in
                try await server.withChannel { channel in
                    try stopAllThreads(of: mongod.pid)
                    let call = Task { try await channel.catalog.listProducts(.init(), options: patient) }
                    try await wait(on: server) { $0.inFlightCount == 2 }
                    server.process.signal(SIGTERM)
                    let isDraining = await server.process.errors.eventually(contains: "\"message\":\"Draining\"")
                    #expect(isDraining)
                    await terminate(server, expecting: .killed(SIGTERM))
                    mongod.signal(SIGCONT)
                    _ = await call.result
                }
            }
        }

        // MARK: Waiting

        private struct Missed: Error {}

        private func wait(on server: ServerProcess, until condition: (Runtime.StatsResponse) -> Bool) async throws {
            try await server.withChannel("waiter") { channel in
                let deadline = ContinuousClock.now + .seconds(10)
                while try await !condition(Runtime.RuntimeService.Client(channel).stats(.init(), options: patient)) {
                    if ContinuousClock.now > deadline { throw Missed() }
                    try await Task.sleep(for: .milliseconds(2))
                }
            }
        }
    }
}

/// Peers that say HELLO and nothing else, each with the types of the frames that it has heard until BYE.
private enum Listener {
    static func listen(to endpoint: String, count: Int) throws -> [[FrameType]] {
        try (0..<count).map { _ in try Peer(endpoint) }.map { try $0.types() }
    }

    private final class Peer {
        private let socket: Socket

        init(_ endpoint: String) throws {
            socket = try Socket(.dealer)
            try socket.connect(endpoint)
            for (frame, more) in [
                (FrameHeader(type: .hello).bytes, true),
                (try Runtime.Hello(minVersion: 1, maxVersion: 1, clientName: "listener").serializedBytes(), false),
            ] { while try socket.send(Frame(copying: frame), more: more) != .sent { try wait() } }
        }

        func types() throws -> [FrameType] {
            let frame = Frame()
            let deadline = Deadline.after(.seconds(60))
            var types: [FrameType] = []
            while types.last != .bye, !deadline.hasPassed {
                guard try socket.receive(into: frame) == .more else {
                    try wait()
                    continue
                }
                types.append(try FrameHeader(frame.unsafeBytes).type)
                _ = try socket.receive(into: frame)
            }
            return types
        }

        private func wait() throws {
            var poller = Poller()
            _ = poller.add(socket)
            try poller.wait(milliseconds: 50)
        }
    }
}
