import FoundationEssentials
import ProtoRuntime
import RPC
import RPCClient
import Synchronization
import Testing

/// Holds every server of a test to its accounts: received = answered + refused + dropped + in flight.
///
/// A server that runs is asked before it is killed, and at the latest when its test ends. What a test killed or stopped by
/// itself can no longer be asked.
struct AccountsTrait: SuiteTrait, TestTrait, TestScoping {
    let isRecursive = true

    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        // Only around a test itself, not around each suite that it is in.
        guard testCase != nil else { return try await function() }
        defer { Accounts.open.withLock { $0 = [] } }
        try await function()
        for server in Accounts.open.withLock({ $0 }) where server.process.isRunning { await server.kill() }
    }
}

extension Trait where Self == AccountsTrait {
    /// No server of the test loses a call silently.
    static var nothingLost: Self { Self() }
}

enum Accounts {
    /// The servers that the running test has started: tests run one after another.
    static let open = Mutex<[ServerProcess]>([])
}

extension ServerProcess {
    /// Asks a server that has nothing else to do until its sum holds, for as long as calls of others may still be on their way.
    func expectNothingLost() async {
        do {
            let stats = try await withChannel("accountant") { channel in
                let deadline = ContinuousClock.now + .seconds(20)
                while true {
                    let stats = try await Runtime.RuntimeService.Client(channel).stats(.init(), options: CallOptions(timeout: .seconds(20)))
                    if stats.isBalanced || ContinuousClock.now > deadline { return stats }
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
            #expect(stats.isBalanced, "calls were lost silently: \(stats)")
        } catch {
            // Somebody may have killed it since: then there is nobody to ask.
            if await !process.ends(within: .seconds(5)) { Issue.record("the server does not account for its calls: \(error)") }
        }
    }
}

extension Runtime.StatsResponse {
    /// Whether every frame that was read is accounted for. The call that asks is itself in flight.
    var isBalanced: Bool {
        receivedCount == answeredCount + refusedCounts.values.reduce(0, +) + droppedCounts.values.reduce(0, +) + Int64(inFlightCount)
    }
}
