@testable import RPC
@testable import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// When messages and answers are left to gather.
@Suite struct NapTests {
    @Test(arguments: [
        (0, nil), (1_000, nil), (1_599, nil), (1_600, 400), (4_000, 1_000), (16_000, 4_000), (1_000_000, 4_000), (.max, 4_000),
    ] as [(UInt64, UInt32?)])
    func aNapIsASmallPartOfTheBacklog(_ backlog: UInt64, _ nap: UInt32?) {
        #expect(Nap.microseconds(backlog: backlog, sinceRefusal: .max) == nap)
    }

    @Test(arguments: [(0, nil), (19_999, nil), (20_000, 4_000), (.max, 4_000)] as [(UInt64, UInt32?)])
    func whereCallsAreRefusedThereIsNoNap(_ sinceRefusal: UInt64, _ nap: UInt32?) {
        #expect(Nap.microseconds(backlog: 1_000_000, sinceRefusal: sinceRefusal) == nap)
    }

    /// Each worker takes a call of each method for so long.
    private func dispatcher(_ policy: DispatchPolicy, workers: Int) -> Dispatcher {
        Dispatcher(policies: [policy], workers: workers, reserved: 0)
    }

    private func finish(_ batch: Dispatcher.Batch, after microseconds: UInt64) -> Dispatcher.Finished {
        .init(batch: batch, carriedOut: batch.calls.count, hopeless: 0, nanoseconds: microseconds * 1000)
    }

    struct Setting: Sendable, CustomTestStringConvertible {
        let name: String
        let policy: DispatchPolicy
        /// Turns that 60 calls of 6 different payloads take.
        let turns: UInt64
        var testDescription: String { name }
    }

    static let settings = [
        Setting(name: "one by one", policy: DispatchPolicy(gather: .one, concurrency: .max), turns: 60),
        Setting(name: "together", policy: DispatchPolicy(gather: .all, concurrency: .max, maxCalls: 25), turns: 3),
        Setting(name: "equal payloads together", policy: DispatchPolicy(gather: .equalPayloads, concurrency: .max, maxCalls: 1024), turns: 6),
    ]

    @Test(arguments: settings) func theBacklogIsWhatKeepsAllWorkersBusy(_ setting: Setting) throws {
        let dispatcher = dispatcher(setting.policy, workers: 2)
        let lane = Lane()
        func enqueue(_ count: Int) {
            dispatcher.enqueue((0..<count).map { (PureCalls.call(id: UInt64($0 + 1), client: "a", payload: [UInt8($0 % 6)]), lane) })
        }
        // What a turn takes is learned from the first.
        enqueue(1)
        let first = try #require(dispatcher.next(worker: 0, after: nil))
        enqueue(1)
        let second = try #require(dispatcher.next(worker: 0, after: finish(first, after: 400)))
        enqueue(60)
        #expect(dispatcher.backlogMicroseconds == setting.turns * 400 / 2)
        _ = try #require(dispatcher.next(worker: 0, after: finish(second, after: 400)))
        #expect(dispatcher.backlogMicroseconds == (setting.turns - 1) * 400 / 2)
    }
}
