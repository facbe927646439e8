import Logging
import RPC
import ZeroMQ

/// The threads that carry out calls. Handlers run here and may block.
final class WorkerPool: Sendable {
    private let threads: [SocketThread]

    init(count: Int, dispatcher: Dispatcher, methods: MethodTable, hasInterceptors: Bool, logger: Logger) {
        threads = (0..<count).map { index in
            SocketThread(name: "worker-\(index)") {
                var finished: Dispatcher.Finished?
                while let batch = dispatcher.next(worker: index, after: finished) {
                    let start = MonotonicTime.now
                    let (calls, hopeless) = Self.begin(batch, at: start)
                    if !calls.isEmpty {
                        Self.carryOut(
                            calls, method: methods[batch.method], hasInterceptors: hasInterceptors,
                            statistics: dispatcher.statistics[batch.method], logger: logger)
                    }
                    // How long it took to find that something else is away tells nothing about the calls after that.
                    let isTelling = calls.contains { !$0.wasUnavailable }
                    finished = Dispatcher.Finished(
                        batch: batch, carriedOut: isTelling ? calls.count : 0, hopeless: hopeless,
                        nanoseconds: MonotonicTime.now.nanoseconds - start.nanoseconds)
                }
            }
        }
    }

    /// The calls of a batch that are to be carried out. Without those that were given up since they were taken: their callers
    /// have been told that they did not run. And without those that have less time left than such calls need: dead work.
    private static func begin(_ batch: Dispatcher.Batch, at start: MonotonicTime) -> (calls: [Call], hopeless: Int) {
        let earliest = MonotonicTime(nanoseconds: start.nanoseconds &+ batch.neededNanoseconds)
        var isWhole = true
        var hopeless = 0
        for call in batch.calls {
            if call.deadline.time <= earliest {
                isWhole = false
                guard call.giveUp() else { continue }
                hopeless += 1
                call.fail(.deadlineExceeded(at: ExpiryPlace.gathering.rawValue, disposition: .notExecuted))
            } else if !call.start(at: start) {
                isWhole = false
            }
        }
        return (isWhole ? batch.calls : batch.calls.filter { $0.started != nil }, hopeless)
    }

    private static func carryOut(
        _ calls: [Call], method: MethodRegistration, hasInterceptors: Bool, statistics: MethodStatistics, logger: Logger
    ) {
        statistics.count(batchOf: calls.count)
        let passed = hasInterceptors ? calls.filter { $0.passInterceptors() } : calls
        if !passed.isEmpty { method.handle(passed) }
        guard !method.policy.mayPark else { return }
        for call in calls where !call.hasAnswer && !call.isAbandoned {
            let id = String(UInt64.random(in: .min ... .max), radix: 16)
            logger.error("handler returned without an answer", metadata: ["rpc.method": "\(method.fullName)", "error.id": "\(id)"])
            call.fail(.internalError(id: id, disposition: .maybe))
        }
    }

    /// Waits until all threads have ended, after the dispatcher was closed, but not for ever: a handler may be stuck.
    ///
    /// - Returns: how many are left. They go on, and end by themselves should their handlers return.
    func join(atMost limit: Duration) -> Int {
        let deadline = Deadline.after(limit)
        return threads.filter { !$0.join(atMost: deadline.remaining) }.count
    }
}
