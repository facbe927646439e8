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
        /// Methods that a worker could serve now, each once, in the order of service.
        var ready = Deque<Int>()
        var isReady: [Bool]
        /// Workers that sleep, the last to fall asleep last: it wakes first, its memory still warm.
        var idle: [Int] = []
        /// Workers that carry out a batch which, by what such calls cost lately, is done sooner than another could wake up.
        var quickCount = 0
        var isClosed = false

        mutating func markReady(_ method: Int) {
            guard !isReady[method], queues[method].isReady else { return }
            isReady[method] = true
            ready.append(method)
        }

        /// The worker to wake, if one is needed: not where a worker will be back before another is awake, and can do it all
        /// in little time. Should that one be held up after all, `nudge` helps.
        mutating func workerToWake() -> Int? {
            if ready.isEmpty || idle.isEmpty { return nil }
            let isSoonDone = quickCount > 0
                && ready.allSatisfy { queues[$0].expectedNanoseconds < Dispatcher.wakeUpNanoseconds }
            return isSoonDone ? nil : idle.popLast()
        }
    }

    /// What it costs to wake a worker, until it works: measured as tens of microseconds on a busy machine.
    static let wakeUpNanoseconds: UInt64 = 50_000

    /// What a worker has to do.
    struct Batch {
        let method: Int
        let calls: [Call]
        /// Whether it was expected to take less than waking another worker.
        let isQuick: Bool
    }

    /// A batch that was carried out.
    struct Finished {
        let batch: Batch
        let nanoseconds: UInt64
    }

    private let state: Mutex<State>
    private let sleepers: [Semaphore]
    /// Per method, for Stats.
    let statistics: [MethodStatistics]
    private let waiting = Atomic<Int>(0)

    init(policies: [DispatchPolicy], workers: Int) {
        state = Mutex(State(
            queues: policies.map(MethodQueue.init), isReady: Array(repeating: false, count: policies.count)))
        sleepers = (0..<workers).map { _ in Semaphore() }
        statistics = policies.map { _ in MethodStatistics() }
    }

    /// A call, and the lane that it waits in.
    typealias Arrival = (call: Call, lane: Lane)

    /// Queues calls that were admitted, and wakes a worker where one is needed.
    func enqueue(_ arrivals: [Arrival]) {
        waiting.add(arrivals.count, ordering: .relaxed)
        let wake: Int? = state.withLock { state in
            for (call, lane) in arrivals {
                state.queues[call.method].append(call, to: lane)
                state.markReady(call.method)
            }
            return state.workerToWake()
        }
        if let wake { sleepers[wake].signal() }
    }

    /// Wakes a worker where calls could be served and none is on its way. To be called now and then while calls wait.
    func nudge() {
        let wake = state.withLock { $0.ready.isEmpty ? nil : $0.idle.popLast() }
        if let wake { sleepers[wake].signal() }
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
            if let finished {
                let method = finished.batch.method
                state.queues[method].finishBatch(count: finished.batch.calls.count, nanoseconds: finished.nanoseconds)
                if finished.batch.isQuick { state.quickCount -= 1 }
                state.markReady(method)
            }
            while let method = state.ready.popFirst() {
                state.isReady[method] = false
                let before = state.queues[method].count
                let isQuick = state.queues[method].isQuick
                let calls = state.queues[method].takeBatch()
                waiting.subtract(before - state.queues[method].count, ordering: .relaxed)
                state.markReady(method)
                guard !calls.isEmpty else { continue }
                if isQuick { state.quickCount += 1 }
                return (Batch(method: method, calls: calls, isQuick: isQuick), state.workerToWake(), false)
            }
            if !state.isClosed { state.idle.append(worker) }
            return (nil, nil, state.isClosed)
        }
    }

    /// Lets go of the abandoned calls that wait, with their payloads: while all workers are held up, nobody takes them.
    func removeAbandoned() {
        let removed = state.withLock { state in
            var removed = 0
            for index in state.queues.indices {
                let before = state.queues[index].count
                state.queues[index].removeAbandoned()
                removed += before - state.queues[index].count
            }
            return removed
        }
        waiting.subtract(removed, ordering: .relaxed)
    }

    /// Lets workers go once nothing waits.
    func close() {
        let idle = state.withLock { state in
            state.isClosed = true
            defer { state.idle = [] }
            return state.idle
        }
        for worker in idle { sleepers[worker].signal() }
    }

    /// Calls of `method` that wait.
    func queuedCount(of method: Int) -> Int { state.withLock { $0.queues[method].count } }

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
