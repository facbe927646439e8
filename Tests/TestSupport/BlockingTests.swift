import Synchronization
import Testing

/// Runs the tests of a suite on threads of their own, for those that block: on a database, on the start of a process.
///
/// Swift's own pool has a thread a core. Tests that block there hold up every other test that awaits something, and make
/// its deadlines pass.
package struct BlockingTrait: SuiteTrait, TestTrait, TestScoping {
    package let isRecursive = true

    package func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(ThreadExecutor.shared) { try await function() }
    }
}

extension Trait where Self == BlockingTrait {
    /// The tests block.
    package static var blocking: Self { Self() }
}

/// A few threads that take jobs in turn.
private final class ThreadExecutor: TaskExecutor {
    static let shared = ThreadExecutor()

    /// Tests wait for the most part; what a mongod does at its start is what bounds this on a small machine.
    private static let threadCount = 4

    private let jobs = Mutex<[UnownedJob]>([])
    private let waiting = WaitingLine()

    private init() {
        for _ in 0..<Self.threadCount { startThread { [self] in run() } }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.withLock { $0.append(job) }
        waiting.signal()
    }

    private func run() -> Never {
        while true {
            waiting.wait()
            let job = jobs.withLock { $0.removeFirst() }
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}
