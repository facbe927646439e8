import EmbeddedMongoDB
import ProtoEcho
import RPC
import RPCClient
import ShopClient
import TestSupport
import Testing

/// The client library meets servers of another make, in Python over another libzmq: newer, older, and such that break the
/// protocol. The Python client's tests ask the same of that client.
@Suite(.serialized, .blocking, .timeLimit(.minutes(5)), .enabled(if: Python.isInstalled, "scripts/setup installs the Python tools"))
struct OtherServerTests {
    @Test(arguments: ["newer", "older", "chatty", "drains"])
    func aCallSucceeds(at server: String) async throws {
        #expect(try await outcome(at: server) == nil)
    }

    @Test(arguments: [
        ("unknown-status", .unknown, "NEW_REASON", .maybe),
        ("no-details", .failedPrecondition, "UNKNOWN", .executed),
        ("unreadable-details", .notFound, "UNKNOWN", .executed),
        ("foreign-details", .aborted, "NEW_REASON", .executed),
        ("protocol-error", .invalidArgument, "MALFORMED_HEADER", .notExecuted),
        ("protocol-error-ok", .unknown, "MALFORMED_HEADER", .notExecuted),
        ("critical-tlv", .internalError, "MALFORMED_RESPONSE", .executed),
        ("cut-tlv", .internalError, "MALFORMED_RESPONSE", .executed),
        ("failure-with-critical-tlv", .notFound, "NEW_REASON", .executed),
        ("critical-flag", .deadlineExceeded, "DEADLINE_EXCEEDED", .maybe),
        ("another-version", .internalError, "MALFORMED_RESPONSE", .notExecuted),
        ("no-version-in-common", .unimplemented, "VERSION_UNSUPPORTED", .notExecuted),
    ] as [(String, StatusCode, String, Disposition)])
    func aCallFailsAsTheDocumentSays(at server: String, code: StatusCode, reason: String, disposition: Disposition) async throws {
        let error = try #require(try await outcome(at: server))
        #expect(error.code == code && error.reason == reason && error.disposition == disposition, "\(error)")
    }

    /// Events with gaps, repetitions and news in them: see stub_shop.py.
    @Test func aSubscriberFindsItsWay() async throws {
        let port = PortPicker.free()
        let stub = try Python(["--serve", "completions", "\(port)"])
        defer { stub.stop() }
        try stub.waitUntilReady()
        let channel = try Channel(to: "tcp://127.0.0.1:\(port)", name: "tester")
        defer { channel.close() }
        var feed = CompletionFeed(channel, group: "g", after: 0).makeAsyncIterator()
        var seen: [Int64] = []
        for _ in 0..<5 { seen.append(try await feed.next()?.sequence ?? 0) }
        #expect(seen == [1, 2, 3, 4, 6])
        channel.close()
        do throws(RPCError) {
            _ = try await feed.next()
            Issue.record("a feed outlives its channel")
        } catch {
            #expect(error.reason == "CHANNEL_CLOSED")
        }
    }

    /// Why a call to a stub server fails; nil where it returns what was sent.
    private func outcome(at server: String) async throws -> RPCError? {
        let port = PortPicker.free()
        let stub = try Python(["--serve", server, "\(port)"])
        defer { stub.stop() }
        try stub.waitUntilReady()
        var configuration = ChannelConfiguration()
        configuration.connectTimeout = .seconds(20)
        let channel = try Channel(to: "tcp://127.0.0.1:\(port)", name: "tester", configuration: configuration)
        defer { channel.close() }
        let payload = Array("Über den Draht".utf8)
        do throws(RPCError) {
            // The one that is skipped ends by its time.
            let timeout = Duration.seconds(server == "critical-flag" ? 1 : 60)
            let response = try await Echo.EchoService.Client(channel).echo(.init(payload: payload), options: .init(timeout: timeout))
            #expect(response.payload == payload)
            return nil
        } catch {
            return error
        }
    }
}
