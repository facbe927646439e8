import DequeModule
import RPC
import Synchronization
import ZeroMQ

/// Brings waiting calls and free workers together.
///
/// Methods that have work and may run are served in turn; inside a method its clients are. A free worker takes what is
/// there, be it a single call, and nobody waits for more to come: batches are large only where workers are behind.
final class Dispatcher: Sendable {
    private struct State {
        var queues: [MethodQueue]
        /// Methods that a worker could serve now, each once, in the order of service; those of high priority apart.
        var ready = Deque<Int>()
        var readyHigh = Deque<Int>()
        var isReady: [Bool]
        /// Workers that sleep, the last to fall asleep last: it wakes first, its memory still warm.
        var idle: [Int] = []
        /// Workers that sleep and take methods of high priority only.
        var idleReserved: [Int] = []
        /// Workers that carry out a batch which, by what such calls cost lately, is done sooner than another could wake up.
        var quickCount = 0
        /// Batches of high priority since the last other one was taken.
        var highInARow = 0
        var isClosed = false

        mutating func markReady(_ method: Int) {
            guard !isReady[method], queues[method].isReady else { return }
            isReady[method] = true
            if queues[method].policy.priority == .high { readyHigh.append(method) } else { ready.append(method) }
        }

        /// The method to serve next. Those of high priority go first, but never keep the others out altogether.
        mutating func popReady(isReserved: Bool) -> Int? {
            if isReserved { return readyHigh.popFirst() }
            if highInARow < Dispatcher.longestHighRow, let method = readyHigh.popFirst() {
                highInARow += 1
                return method
            }
            highInARow = 0
            return ready.popFirst() ?? readyHigh.popFirst()
        }

        /// The worker to wake, if one is needed: not where a worker will be back before another is awake, and can do it all
        /// in little time. Should that one be held up after all, `nudge` helps.
        mutating func workerToWake() -> Int? {
            if ready.isEmpty && readyHigh.isEmpty { return nil }
            let isSoonDone = quickCount > 0
                && ready.allSatisfy { queues[$0].expectedNanoseconds < Dispatcher.worthWakingNanoseconds }
                && readyHigh.allSatisfy { queues[$0].expectedNanoseconds < Dispatcher.worthWakingNanoseconds }
            return isSoonDone ? nil : popIdle()
        }

        /// Nanoseconds that one worker would have to do with all that is ready; 0 where one sleeps and will see to it.
        var backlogNanoseconds: UInt64 {
            idle.isEmpty ? ready.reduce(0) { $0 &+ queues[$1].backlogNanoseconds } : 0
        }

        /// A sleeping worker that can do something of what is ready.
        mutating func popIdle() -> Int? {
            if ready.isEmpty && readyHigh.isEmpty { return nil }
            return idle.popLast() ?? (readyHigh.isEmpty ? nil : idleReserved.popLast())
        }
    }

    /// Most batches of high priority that a worker takes in a row while others wait.
    private static let longestHighRow = 16

    /// What has to wait, besides a worker that is soon back, before another is woken for it: several times what waking costs, which
    /// is tens of microseconds on a busy machine, as a second worker also takes its core from whoever brings the calls.
    static let worthWakingNanoseconds: UInt64 = 300_000

    /// What a worker has to do.
    struct Batch {
        let method: Int
        let calls: [Call]
        /// Of how many groups of equal calls.
        let turns: Int
        /// What nearly all batches of the method need lately; 0 where that is not known.
        let neededNanoseconds: UInt64
        /// Whether it was expected to take less than waking another worker.
        let isQuick: Bool
    }

    /// A batch that is over.
    struct Finished {
        let batch: Batch
        /// Calls that were carried out; none where all of them were answered UNAVAILABLE.
        let carriedOut: Int
        /// Calls that had too little time left.
        let hopeless: Int
        let nanoseconds: UInt64
    }

    private let state: Mutex<State>
    private let sleepers: [Semaphore]
    /// Workers from this number on take methods of high priority only.
    private let firstReserved: Int
    /// Per method, for Stats.
    let statistics: [MethodStatistics]
    /// Per method, for the admission of calls.
    let loads: [MethodLoad]
    private let waiting = Atomic<Int>(0)
    private let ready = Atomic<Int>(0)
    private let backlog = Atomic<UInt64>(0)

    /// - Parameters:
    ///   - workers: threads that take any method.
    ///   - reserved: threads that take methods of high priority only; their numbers follow.
    init(policies: [DispatchPolicy], workers: Int, reserved: Int) {
        state = Mutex(State(
            queues: policies.map(MethodQueue.init), isReady: Array(repeating: false, count: policies.count)))
        sleepers = (0..<workers + reserved).map { _ in Semaphore() }
        firstReserved = workers
        statistics = policies.map { _ in MethodStatistics() }
        loads = policies.map { _ in MethodLoad() }
    }

    /// A call, and the lane that it waits in.
    typealias Arrival = (call: Call, lane: Lane)

    /// Queues calls that were admitted, and wakes a worker where one is needed.
    func enqueue(_ arrivals: [Arrival]) {
        waiting.add(arrivals.count, ordering: .relaxed)
        let wake: Int? = state.withLock { state in
            for (index, (call, lane)) in arrivals.enumerated() {
                state.queues[call.method].append(call, to: lane)
                state.markReady(call.method)
                // Once for a stretch of calls of one method.
                if index + 1 == arrivals.count || arrivals[index + 1].call.method != call.method { publish(call.method, &state) }
            }
            return state.workerToWake()
        }
        if let wake { sleepers[wake].signal() }
    }

    private func publish(_ method: Int, _ state: inout State) {
        state.queues[method].publish(to: loads[method])
        ready.store(state.ready.count, ordering: .relaxed)
        backlog.store(state.backlogNanoseconds / UInt64(max(1, firstReserved)), ordering: .relaxed)
    }

    /// Wakes a worker where calls could be served and none is on its way. To be called now and then while calls wait.
    func nudge() {
        if let wake = state.withLock({ $0.popIdle() }) { sleepers[wake].signal() }
    }

    /// Waits for the next batch; nil once closed and empty. `finished` is what this worker has just carried out.
    func next(worker: Int, after finished: Finished?) -> Batch? {
        var finished = finished
        while true {
            let (batch, wake, isClosed) = take(worker: worker, after: finished)
            finished = nil
            if let wake { sleepers[wake].signal() }
            if let batch { return batch }
            if isClosed { return nil }
            sleepers[worker].wait()
        }
    }

    private func take(worker: Int, after finished: Finished?) -> (batch: Batch?, wake: Int?, isClosed: Bool) {
        state.withLock { state in
            if let finished { finish(finished, &state) }
            while let method = state.popReady(isReserved: worker >= firstReserved) {
                state.isReady[method] = false
                let before = state.queues[method].count
                let isQuick = state.queues[method].isQuick
                let taken = state.queues[method].takeBatch(sharedBy: firstReserved)
                waiting.subtract(before - state.queues[method].count, ordering: .relaxed)
                state.markReady(method)
                publish(method, &state)
                guard !taken.calls.isEmpty else { continue }
                if isQuick { state.quickCount += 1 }
                let needed = state.queues[method].neededNanoseconds
                let batch = Batch(
                    method: method, calls: taken.calls, turns: taken.turns, neededNanoseconds: needed, isQuick: isQuick)
                return (batch, state.workerToWake(), false)
            }
            if !state.isClosed {
                if worker >= firstReserved { state.idleReserved.append(worker) } else { state.idle.append(worker) }
            }
            return (nil, nil, state.isClosed)
        }
    }

    private func finish(_ finished: Finished, _ state: inout State) {
        let method = finished.batch.method
        state.queues[method].finishBatch(
            count: finished.carriedOut, turns: finished.batch.turns, hopeless: finished.hopeless,
            nanoseconds: finished.nanoseconds)
        if finished.batch.isQuick { state.quickCount -= 1 }
        state.markReady(method)
    }

    /// Lets go of the abandoned calls that wait, with their payloads: while all workers are held up, nobody takes them.
    func removeAbandoned() {
        let removed = state.withLock { state in
            var removed = 0
            for index in state.queues.indices {
                let before = state.queues[index].count
                state.queues[index].removeAbandoned()
                removed += before - state.queues[index].count
                publish(index, &state)
            }
            return removed
        }
        waiting.subtract(removed, ordering: .relaxed)
    }

    /// Lets workers go once nothing waits.
    func close() {
        let idle = state.withLock { state in
            state.isClosed = true
            defer { (state.idle, state.idleReserved) = ([], []) }
            return state.idle + state.idleReserved
        }
        for worker in idle { sleepers[worker].signal() }
    }

    /// Calls of `method` that wait.
    func queuedCount(of method: Int) -> Int { state.withLock { $0.queues[method].count } }

    /// Methods of normal priority that have work and wait for a worker. Without a lock.
    var readyCount: Int { ready.load(ordering: .relaxed) }

    /// Microseconds for which what waits will keep all workers busy, by what such calls cost lately. Without a lock.
    var backlogMicroseconds: UInt64 { backlog.load(ordering: .relaxed) / 1000 }

    /// Calls that wait, of all methods.
    var queuedCount: Int { waiting.load(ordering: .relaxed) }
}

/// What was counted of one method.
final class MethodStatistics: Sendable {
    let calls = Counter()
    let batches = Counter()
    let failed = Counter()
    private let largest = Atomic<Int>(0)

    var largestBatch: Int { largest.load(ordering: .relaxed) }

    func count(batchOf size: Int) {
        calls.add(size)
        batches.add()
        largest.max(size, ordering: .relaxed)
    }
}
