import ProtoEcho
import ProtoRuntime
import RPC
import RPCClient
import TestSupport
import Testing

extension RunningServer {
    func stats() async throws -> Runtime.StatsResponse {
        let channel = try channel(name: "auditor")
        defer { channel.close() }
        return try await Runtime.RuntimeService.Client(channel).stats(Runtime.StatsRequest())
    }

    /// After whatever was done to it: a normal call works, and received = answered + refused + dropped + in flight.
    ///
    /// - Parameter normalCallWorks: whether there is a handler that answers with what it was sent.
    func expectSound(normalCallWorks: Bool = true, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let channel = try channel(name: "normal")
        defer { channel.close() }
        if normalCallWorks {
            let answer = try await channel.echo("a normal call", timeout: .seconds(30))
            #expect(answer == "a normal call", sourceLocation: sourceLocation)
        }
        // What others sent may still be on its way: ask until the sum holds with no call but this one in flight.
        let isSound = try await eventually {
            let seen = try await self.stats()
            return seen.isBalanced && seen.inFlightCount == 1
        }
        let final = try await self.stats()
        #expect(isSound, "\(final)", sourceLocation: sourceLocation)
        expectNothingLost(final, sourceLocation: sourceLocation)
    }
}

/// The header of a call of the echo method.
func echoRequest(id: UInt64, sentAt: UInt64 = MonotonicTime.now.microseconds, budget: UInt32 = 0, extensionLength: Int = 0) -> FrameHeader {
    .request(
        callID: id, method: Echo.EchoService.echo.id, sentAt: sentAt, budget: budget, extensionLength: UInt16(extensionLength))
}

/// The payload of a call of the echo method.
func echoPayload(_ text: String) throws -> [UInt8] { try Echo.EchoRequest(payload: Array(text.utf8)).serializedBytes() }

/// Asks the server until so many calls of the echo method wait.
func waitUntilQueued(_ count: Int32, _ channel: Channel) async throws {
    let deadline = Deadline.after(.seconds(20))
    let stats = Runtime.RuntimeService.Client(channel)
    while !deadline.hasPassed {
        let methods = try await stats.stats(Runtime.StatsRequest()).methods
        if methods.contains(where: { $0.method == Echo.EchoService.echo.fullName && $0.queuedCount == count }) { return }
    }
    Issue.record("\(count) calls did not come to wait within 20 seconds")
}
