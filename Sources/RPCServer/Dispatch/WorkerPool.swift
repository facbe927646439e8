import Logging
import RPC
import ZeroMQ

/// The threads that carry out calls. Handlers run here and may block.
final class WorkerPool: Sendable {
    private let threads: [SocketThread]

    init(count: Int, dispatcher: Dispatcher, methods: MethodTable, logger: Logger) {
        threads = (0..<count).map { index in
            SocketThread(name: "worker-\(index)") {
                var finished: Dispatcher.Finished?
                while let batch = dispatcher.next(worker: index, after: finished) {
                    let start = MonotonicTime.now
                    var isWhole = true
                    for call in batch.calls where !call.start(at: start) { isWhole = false }
                    // Those that were given up since they were taken must not run: their callers have been told so.
                    let calls = isWhole ? batch.calls : batch.calls.filter { $0.started != nil }
                    if !calls.isEmpty {
                        Self.carryOut(
                            calls, method: methods[batch.method], statistics: dispatcher.statistics[batch.method], logger: logger)
                    }
                    finished = Dispatcher.Finished(
                        batch: batch, nanoseconds: MonotonicTime.now.nanoseconds - start.nanoseconds)
                }
            }
        }
    }

    private static func carryOut(_ calls: [Call], method: MethodRegistration, statistics: MethodStatistics, logger: Logger) {
        statistics.count(batchOf: calls.count)
        method.handle(calls)
        guard !method.policy.mayPark else { return }
        for call in calls where !call.hasAnswer && !call.isAbandoned {
            let id = String(UInt64.random(in: .min ... .max), radix: 16)
            logger.error("handler returned without an answer", metadata: ["rpc.method": "\(method.fullName)", "error.id": "\(id)"])
            call.fail(.internalError(id: id, disposition: .maybe))
        }
    }

    /// Waits until all threads have ended, after the dispatcher was closed.
    func join() {
        for thread in threads { thread.join() }
    }
}
