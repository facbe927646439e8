import DequeModule
import RPC
import Synchronization
import ZeroMQ

/// Brings waiting calls and free workers together.
///
/// Methods that have work and may run are served in turn; inside a method its clients are. A free worker takes a whole
/// batch, without a timer: alone, a call is a batch of one; while workers are busy, batches grow by themselves.
final class Dispatcher: Sendable {
    private struct State {
        var queues: [MethodQueue]
        /// Methods that a worker could serve now, each once, in the order of service.
        var ready = Deque<Int>()
        var isReady: [Bool]
        /// Workers that sleep, the last to fall asleep last: it wakes first, its memory still warm.
        var idle: [Int] = []
        var isClosed = false

        mutating func markReady(_ method: Int) {
            guard !isReady[method], queues[method].isReady else { return }
            isReady[method] = true
            ready.append(method)
        }
    }

    /// What a worker has to do.
    struct Batch {
        let method: Int
        let calls: [Call]
    }

    private let state: Mutex<State>
    private let sleepers: [Semaphore]
    /// Per method, for Stats.
    let statistics: [MethodStatistics]

    init(policies: [DispatchPolicy], workers: Int) {
        state = Mutex(State(
            queues: policies.map(MethodQueue.init), isReady: Array(repeating: false, count: policies.count)))
        sleepers = (0..<workers).map { _ in Semaphore() }
        statistics = policies.map { _ in MethodStatistics() }
    }

    /// A call, and the lane that it waits in.
    typealias Arrival = (call: Call, lane: Lane)

    /// Queues calls that were admitted, and wakes a worker for them.
    func enqueue(_ arrivals: [Arrival]) {
        let wake: Int? = state.withLock { state in
            for (call, lane) in arrivals {
                state.queues[call.method].append(call, to: lane)
                state.markReady(call.method)
            }
            return state.ready.isEmpty ? nil : state.idle.popLast()
        }
        if let wake { sleepers[wake].signal() }
    }

    /// Waits for the next batch; nil once closed and empty. `finished` is the method of the batch that this worker has
    /// just carried out.
    func next(worker: Int, finished: Int?) -> Batch? {
        var finished = finished
        while true {
            let (batch, wake, isClosed) = take(worker: worker, finished: finished)
            finished = nil
            // One worker wakes the next where there is more than it can take itself.
            if let wake { sleepers[wake].signal() }
            if let batch { return batch }
            if isClosed { return nil }
            sleepers[worker].wait()
        }
    }

    private func take(worker: Int, finished: Int?) -> (batch: Batch?, wake: Int?, isClosed: Bool) {
        state.withLock { state in
            if let finished {
                state.queues[finished].finishBatch()
                state.markReady(finished)
            }
            while let method = state.ready.popFirst() {
                state.isReady[method] = false
                let calls = state.queues[method].takeBatch()
                state.markReady(method)
                guard !calls.isEmpty else { continue }
                let wake = state.ready.isEmpty ? nil : state.idle.popLast()
                return (Batch(method: method, calls: calls), wake, false)
            }
            if !state.isClosed { state.idle.append(worker) }
            return (nil, nil, state.isClosed)
        }
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
    var queuedCount: Int { state.withLock { $0.queues.reduce(0) { $0 + $1.count } } }
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
