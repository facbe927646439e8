import ProtoEcho
import Protobuf
import RPC
import RPCClient
import RPCServer
import Testing
import ZeroMQ

/// Handlers that answer with bytes instead of a message.
@Suite struct EncodedReplyTests {
    private typealias EchoHandler = Handler<Echo.EchoRequest, Echo.EchoResponse>

    private static func written(_ request: Echo.EchoRequest) -> EncodedMessage<Echo.EchoResponse> {
        EncodedMessage { $0.append(.payload, request.payload) }
    }

    private static let handlers: [(String, EchoHandler)] = [
        ("unary", .unary { (request, _) throws(RPCError) in written(request) }),
        ("coalesced", .coalesced { (request, _) throws(RPCError) in written(request) }),
        ("parked", .parked { call in call.reply(written(call.request)) }),
        ("gathered", .gathered { calls in for call in calls { call.reply(written(call.request)) } }),
    ]

    @Test(arguments: handlers.indices) func theCallerGetsTheMessage(_ index: Int) async throws {
        let server = try RunningServer.start(EchoHandlers(Self.handlers[index].1))
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        for text in ["", "a", String(repeating: "long ", count: 1000)] {
            let answer = try await channel.echo(text)
            #expect(answer == text, "\(Self.handlers[index].0)")
        }
    }

    /// A reply that counts how often it is encoded, and may be one that cannot be.
    private struct CountedReply: MessageEncoding {
        typealias Encoded = Echo.EchoResponse
        let encoded: Shared<Int>
        var error: EncodingError?

        func serialize(into allocate: (Int) -> UnsafeMutableRawBufferPointer) throws(EncodingError) {
            encoded.withLock { $0 += 1 }
            if let error { throw error }
            try Echo.EchoResponse(payload: Array("shared".utf8)).serialize(into: allocate)
        }
    }

    /// One call holds the method; those that wait meanwhile share one execution, and one encoding.
    private func share(_ reply: CountedReply, among count: Int) async throws -> [Result<String, RPCError>] {
        let entered = Gate()
        let release = Semaphore()
        let server = try RunningServer.start(EchoHandlers(.coalesced(concurrency: 1) { (request, _) throws(RPCError) in
            if request.payload.isEmpty {
                entered.open()
                release.wait()
            }
            return reply
        }))
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        async let first = Result { () async throws(RPCError) in try await channel.echo("") }
        await entered.wait()
        let before = reply.encoded.value
        let results = try await withThrowingTaskGroup(of: Result<String, RPCError>.self) { group in
            for _ in 0..<count {
                group.addTask { await Result { () async throws(RPCError) in try await channel.echo("same") } }
            }
            try await waitUntilQueued(Int32(count), channel)
            release.signal()
            return try await group.reduce(into: []) { $0.append($1) }
        }
        _ = await first
        #expect(reply.encoded.value == before + 2)
        return results
    }

    @Test func coalescedCallsShareOneEncoding() async throws {
        let results = try await share(CountedReply(encoded: Shared(0)), among: 50)
        for result in results { #expect(try result.get() == "shared") }
        #expect(results.count == 50)
    }

    @Test func aReplyThatCannotBeEncodedFailsAllThatShareIt() async throws {
        let results = try await share(CountedReply(encoded: Shared(0), error: EncodingError(field: "payload", reason: "is bad")), among: 5)
        for result in results {
            let error = #expect(throws: RPCError.self) { try result.get() }
            #expect(error?.code == .internalError)
            #expect(error?.message.contains("payload: is bad") == true)
        }
    }
}

extension Result where Failure == RPCError {
    fileprivate init(_ body: () async throws(RPCError) -> Success) async {
        do throws(RPCError) {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
