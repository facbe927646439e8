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
                    for call in batch.calls { call.start(at: start) }
                    Self.carryOut(batch, methods: methods, statistics: dispatcher.statistics[batch.method], logger: logger)
                    finished = Dispatcher.Finished(
                        batch: batch, nanoseconds: MonotonicTime.now.nanoseconds - start.nanoseconds)
                }
            }
        }
    }

    private static func carryOut(
        _ batch: Dispatcher.Batch, methods: MethodTable, statistics: MethodStatistics, logger: Logger
    ) {
        let registration = methods[batch.method]
        statistics.count(batchOf: batch.calls.count)
        registration.handle(batch.calls)
        guard !registration.policy.mayPark else { return }
        for call in batch.calls where !call.hasAnswer && !call.isAbandoned {
            let id = String(UInt64.random(in: .min ... .max), radix: 16)
            logger.error("handler returned without an answer", metadata: ["rpc.method": "\(registration.fullName)", "error.id": "\(id)"])
            call.fail(.internalError(id: id, disposition: .maybe))
        }
    }

    /// Waits until all threads have ended, after the dispatcher was closed.
    func join() {
        for thread in threads { thread.join() }
    }
}
