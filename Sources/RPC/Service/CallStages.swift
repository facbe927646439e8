import Glibc
import Synchronization

/// Where the time of one call goes, mark by mark. It exists only for a call that asks: others cost no look at the clock.
///
/// The worker marks decoding and the handler's end; whoever answers marks encoding, in any thread.
package final class CallStages: Sendable {
    private struct Marks {
        var begun: MonotonicTime?
        var decoded: MonotonicTime?
        var answered: MonotonicTime?
        var encoded: MonotonicTime?
        var database = Duration.zero
        /// While the handler runs: in which thread, and what that thread's total was before.
        var running: (thread: pthread_t, total: Duration)?

        /// The thread's total counts while the handler runs there; what other threads waited for is said by `addDatabaseTime`.
        mutating func countDatabaseTime(_ total: () -> Duration) {
            guard let started = running, started.thread == pthread_self() else { return }
            database += total() - started.total
            running = nil
        }
    }

    private let marks = Mutex(Marks())
    private let databaseTime: @Sendable () -> Duration

    /// - Parameter databaseTime: what the calling thread has waited for its database in all.
    package init(databaseTime: @escaping @Sendable () -> Duration) { self.databaseTime = databaseTime }

    /// Time in the database on another thread than the handler's. Nothing counts after the answer.
    func addDatabaseTime(_ time: Duration) {
        marks.withLock { if $0.answered == nil { $0.database += time } }
    }

    /// What is known by now.
    ///
    /// - Parameter started: when a worker began with the call; nil where none did.
    package func timings(arrival: MonotonicTime, started: MonotonicTime?, now: MonotonicTime) -> StageTimings {
        let marks = marks.withLock { $0 }
        let begun = marks.begun ?? started ?? now
        let decoded = marks.decoded ?? (marks.begun == nil ? begun : now)
        let answered = marks.answered ?? now
        var timings = StageTimings()
        timings.queued = Self.time(from: arrival, to: begun)
        timings.decoded = Self.time(from: begun, to: decoded)
        timings.handler = Self.time(from: decoded, to: answered)
        timings.database = marks.database
        timings.encoded = Self.time(from: answered, to: marks.encoded ?? answered)
        return timings
    }

    private static func time(from start: MonotonicTime, to end: MonotonicTime) -> Duration {
        .microseconds(Int64(clamping: end.microseconds(since: start)))
    }

    fileprivate func mark(_ stage: StageMarks.Stage, at now: MonotonicTime) {
        marks.withLock { marks in
            switch stage {
            case .begun:
                marks.begun = now
            case .decoded:
                marks.decoded = now
                marks.running = (pthread_self(), databaseTime())
            case .answered:
                guard marks.answered == nil else { return }
                marks.answered = now
                marks.countDatabaseTime(databaseTime)
            case .encoded:
                marks.encoded = marks.encoded ?? now
            case .returned:
                marks.countDatabaseTime(databaseTime)
            }
        }
    }
}

/// The stages of the calls of a batch that ask for them, marked together: members of a batch share its numbers.
package struct StageMarks {
    package enum Stage {
        /// A worker begins to decode.
        case begun
        /// The handler begins.
        case decoded
        /// The handler has decided; the response is to be encoded.
        case answered
        /// The response is encoded.
        case encoded
        /// The handler has returned, whether it answered or not.
        case returned
    }

    private let stages: [CallStages]

    package init(_ calls: some Sequence<any IncomingCall>) { stages = calls.compactMap(\.stages) }

    package init(_ first: any IncomingCall, and others: ArraySlice<any IncomingCall>) {
        stages = others.isEmpty ? first.stages.map { [$0] } ?? [] : ([first] + others).compactMap(\.stages)
    }

    package func mark(_ stage: Stage) {
        guard !stages.isEmpty else { return }
        let now = MonotonicTime.now
        for call in stages { call.mark(stage, at: now) }
    }
}
