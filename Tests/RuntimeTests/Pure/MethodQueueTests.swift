@testable import RPC
@testable import RPCServer
import TestSupport
import Testing
import ZeroMQ

/// Random histories of a method's queue beside a plain list of what waits.
@Suite(.blocking) struct MethodQueueTests {
    private static let clients = ["a", "b", "c", "d"]

    /// What waits, as simply as can be: a list a client.
    private struct Model {
        var waiting: [String: [Call]] = [:]

        var all: [Call] { waiting.values.flatMap { $0 } }
        var alive: [Call] { all.filter { !$0.isAbandoned } }

        /// Takes a call out, and says whether it was there.
        mutating func take(_ call: Call) -> Bool {
            guard let index = waiting[call.identity.name]?.firstIndex(where: { $0 === call }) else { return false }
            waiting[call.identity.name]?.remove(at: index)
            return true
        }
    }

    struct Setting: Sendable, CustomTestStringConvertible {
        let name: String
        let policy: DispatchPolicy
        var testDescription: String { name }
    }

    static let settings = [
        Setting(name: "one", policy: DispatchPolicy(gather: .one, concurrency: 3)),
        Setting(name: "all", policy: DispatchPolicy(gather: .all, concurrency: 2, maxCalls: 5, maxBytes: 40)),
        Setting(name: "all, without limits", policy: DispatchPolicy(gather: .all, concurrency: 1, maxCalls: .max)),
        Setting(name: "equal payloads", policy: DispatchPolicy(gather: .equalPayloads, concurrency: 2, maxCalls: 4)),
        Setting(
            name: "several of equal payloads",
            policy: DispatchPolicy(gather: .equalPayloads, concurrency: 2, maxCalls: 9, maxPayloads: 5)),
    ]

    @Test(arguments: settings, Seeds.fresh(3)) func nothingIsLostDoubledOrTakenOutOfTurn(_ setting: Setting, seed: UInt64) {
        let policy = setting.policy
        var random = SeededGenerator(seed: seed)
        var queue = MethodQueue(policy: policy)
        let lanes = Dictionary(uniqueKeysWithValues: Self.clients.map { ($0, Lane()) })
        var model = Model()
        var running: [MethodQueue.Batch] = []
        var nextID: UInt64 = 0
        for _ in 0..<500 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0...4:
                let client = Self.clients.randomElement(using: &random) ?? "a"
                let payload = Array(repeating: UInt8.random(in: 0..<3, using: &random), count: Int.random(in: 0..<20, using: &random))
                nextID += 1
                let call = PureCalls.call(id: nextID, client: client, payload: payload)
                queue.append(call, to: lanes[client] ?? Lane())
                model.waiting[client, default: []].append(call)
            case 5: model.alive.randomElement(using: &random)?.abandon()
            case 6 where Int.random(in: 0..<8, using: &random) == 0:
                queue.removeAbandoned()
                // Only what leads live followers may stay.
                if policy.gather != .equalPayloads { #expect(queue.count == model.alive.count) }
                for client in Self.clients { model.waiting[client]?.removeAll { $0.isAbandoned } }
            case 6...7:
                if let batch = running.popLast() { finish(batch, nanoseconds: UInt64.random(in: 0..<200_000, using: &random), &queue) }
            default:
                guard queue.isReady else { continue }
                let before = queue.running
                let batch = queue.takeBatch(sharedBy: Int.random(in: 1...4, using: &random))
                #expect(queue.running == before + (batch.calls.isEmpty ? 0 : 1))
                check(batch, policy, &model)
                if !batch.calls.isEmpty { running.append(batch) }
            }
            #expect(queue.running == running.count && queue.running <= policy.concurrency)
            // Abandoned calls fall out when they are met, no later than their turn.
            #expect(queue.count >= model.alive.count)
        }
        for batch in running { finish(batch, nanoseconds: 0, &queue) }
        while queue.count > 0 {
            let batch = queue.takeBatch()
            check(batch, policy, &model)
            if !batch.calls.isEmpty { finish(batch, nanoseconds: 0, &queue) }
        }
        #expect(model.alive.isEmpty, "\(model.alive.count) calls were lost")
        #expect(!queue.isReady && queue.running == 0)
    }

    private func finish(_ batch: MethodQueue.Batch, nanoseconds: UInt64, _ queue: inout MethodQueue) {
        queue.finishBatch(count: batch.calls.count, turns: batch.turns, nanoseconds: nanoseconds)
    }

    private func check(_ taken: MethodQueue.Batch, _ policy: DispatchPolicy, _ model: inout Model) {
        let batch = taken.calls
        #expect(batch.allSatisfy { !$0.isAbandoned })
        switch policy.gather {
        case .one:
            #expect(batch.count <= 32)
        case .all:
            let bytes = batch.map(\.payload.count).reduce(0, +)
            #expect(batch.count <= policy.maxCalls && (batch.count == 1 || bytes <= policy.maxBytes))
        case .equalPayloads:
            #expect(batch.count <= policy.maxCalls)
            // Equal ones lie side by side. Those of a group that was full make another of the same payload.
            let changes = zip(batch, batch.dropFirst()).count { $0.payload.bytes != $1.payload.bytes }
            #expect(taken.turns <= policy.maxPayloads && changes < max(1, taken.turns))
        }
        for call in batch {
            if policy.gather != .equalPayloads {
                // Within a client first come, first served.
                let first = model.waiting[call.identity.name]?.first { !$0.isAbandoned }
                #expect(first === call, "call \(call.id) was taken out of turn")
            }
            let wasThere = model.take(call)
            #expect(wasThere, "call \(call.id) was taken twice, or never waited")
        }
    }

    /// However many calls a client has waiting: between two of its own, each other that waits is served once.
    @Test(arguments: Seeds.fresh(3)) func clientsAreServedInTurn(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = MethodQueue(policy: DispatchPolicy(gather: .all, concurrency: .max, maxCalls: 3))
        let lanes = Dictionary(uniqueKeysWithValues: Self.clients.map { ($0, Lane()) })
        var waiting: [String: Int] = [:]
        var sinceServed: [String: [String: Int]] = [:]
        for id in 0..<500 {
            let client = Int.random(in: 0..<3, using: &random) > 0 ? "a" : Self.clients.randomElement(using: &random) ?? "a"
            if waiting[client, default: 0] == 0 { sinceServed[client] = [:] }
            queue.append(PureCalls.call(id: UInt64(id), client: client), to: lanes[client] ?? Lane())
            waiting[client, default: 0] += 1
            guard Int.random(in: 0..<4, using: &random) == 0 else { continue }
            for call in queue.takeBatch().calls {
                let served = call.identity.name
                waiting[served, default: 0] -= 1
                sinceServed[served] = [:]
                for other in Self.clients where other != served && waiting[other, default: 0] > 0 {
                    sinceServed[other, default: [:]][served, default: 0] += 1
                    #expect(sinceServed[other]?[served] ?? 0 <= 1, "\(served) was served twice while \(other) waited")
                }
            }
        }
    }

    /// Beside a batch that runs, another one begins only with enough calls to be worth it; with none running, with the first call.
    @Test func anotherBatchBeginsWhereItIsWorthIt() {
        var queue = MethodQueue(policy: DispatchPolicy(gather: .all, concurrency: 2, callsForAnother: 3, maxCalls: 10))
        let lane = Lane()
        var next: UInt64 = 0
        func add(_ count: Int) {
            for _ in 0..<count {
                next += 1
                queue.append(PureCalls.call(id: next), to: lane)
            }
        }
        add(1)
        #expect(queue.isReady)
        #expect(queue.takeBatch().calls.count == 1)
        add(2)
        #expect(!queue.isReady)
        add(1)
        #expect(queue.isReady)
        #expect(queue.takeBatch().calls.count == 3)
        add(3)
        #expect(!queue.isReady, "two run")
        queue.finishBatch(count: 1, nanoseconds: 1)
        #expect(queue.isReady)
        #expect(queue.takeBatch().calls.count == 3)
        add(1)
        queue.finishBatch(count: 3, nanoseconds: 1)
        #expect(!queue.isReady, "one waits, one runs")
        queue.finishBatch(count: 3, nanoseconds: 1)
        #expect(queue.isReady)
    }

    /// All equal calls that wait go together, whoever they are from, and those that come later do not join what runs.
    @Test func equalCallsGoTogether() {
        var queue = MethodQueue(policy: DispatchPolicy(gather: .equalPayloads, concurrency: .max, maxCalls: 3))
        let lanes = [Lane(), Lane()]
        for (id, payload) in [(1, 7), (2, 8), (3, 7), (4, 7), (5, 7), (6, 8)] as [(UInt64, UInt8)] {
            queue.append(PureCalls.call(id: id, payload: [payload]), to: lanes[Int(id) % 2])
        }
        #expect(queue.count == 6)
        // Four equal ones are more than a batch may hold: the last of them leads the next.
        var batches: [[UInt64]] = []
        while queue.count > 0 { batches.append(queue.takeBatch().calls.map(\.id)) }
        #expect(Set(batches) == [[1, 3, 4], [2, 6], [5]])
        queue.append(PureCalls.call(id: 7, payload: [7]), to: lanes[0])
        #expect(queue.takeBatch().calls.map(\.id) == [7])
    }

    /// A worker takes its share of the different payloads that wait, no more than it may and than are done in 20 ms, and no more calls.
    @Test func differentPayloadsAreSharedOut() {
        var queue = MethodQueue(policy: DispatchPolicy(gather: .equalPayloads, concurrency: .max, maxCalls: 6, maxPayloads: 4))
        let lane = Lane()
        func add(_ payloads: UInt8...) {
            for payload in payloads { queue.append(PureCalls.call(id: UInt64(payload), payload: [payload]), to: lane) }
        }
        func take(sharedBy workers: Int, microsecondsEach: Int = 500) -> [UInt64] {
            let batch = queue.takeBatch(sharedBy: workers)
            queue.finishBatch(
                count: batch.calls.count, turns: batch.turns, nanoseconds: UInt64(batch.turns * microsecondsEach) * 1000)
            return batch.calls.map(\.id)
        }
        add(1, 2)
        #expect(take(sharedBy: 1) == [1], "what they cost is not known yet")
        add(3, 4, 5, 6, 7, 8, 9)
        #expect(take(sharedBy: 4) == [2, 3])
        #expect(take(sharedBy: 1) == [4, 5, 6, 7])
        #expect(take(sharedBy: 4) == [8])
        #expect(take(sharedBy: 1) == [9])
        add(10, 10, 10, 11, 11, 11, 11)
        #expect(take(sharedBy: 1) == [10, 10, 10], "all would be more calls than a batch may hold")
        #expect(take(sharedBy: 1, microsecondsEach: 200_000) == [11, 11, 11, 11])
        add(12, 13, 14)
        #expect(take(sharedBy: 1) == [12], "they are dear by now")
    }

    /// A leader that was abandoned takes nobody with it; one without followers goes.
    @Test func abandonedLeadersKeepTheirFollowers() {
        var queue = MethodQueue(policy: DispatchPolicy(gather: .equalPayloads, concurrency: .max, maxCalls: 10))
        let lane = Lane()
        let calls = (1...6).map { PureCalls.call(id: UInt64($0), payload: [UInt8($0 % 2)]) }
        for call in calls { queue.append(call, to: lane) }
        // Calls 1, 3, 5 are equal, and 2, 4, 6.
        for index in [0, 2, 1, 3, 5] { calls[index].abandon() }
        queue.removeAbandoned()
        #expect(queue.count == 2)
        queue.append(PureCalls.call(id: 7, payload: [0]), to: lane)
        var batches: [[UInt64]] = []
        while queue.count > 0 { batches.append(queue.takeBatch().calls.map(\.id)) }
        #expect(batches == [[5], [7]])
        #expect(!queue.isReady || queue.count == 0)
    }
}
