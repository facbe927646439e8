import Glibc
import RPC
import RPCClient
import Synchronization

/// A rate of calls for a time.
struct Phase: Sendable {
    /// Calls a second.
    let rate: Double
    let seconds: Double

    /// From "RATE:SECONDS".
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let rate = Double(parts[0]), let seconds = Double(parts[1]), rate > 0, seconds > 0 else { return nil }
        self.rate = rate
        self.seconds = seconds
    }
}

/// What came of one call.
struct Sample: Sendable {
    enum Outcome: UInt8, Sendable { case succeeded, refused, expired, failed }

    /// When the call was to begin.
    let intended: MonotonicTime
    /// From that moment, not from when the generator came to it: a generator that is late makes calls late.
    let latency: Duration
    let outcome: Outcome
}

/// Calls that begin when they are due, whatever became of those before: callers in the world do not wait for each other.
/// The gaps are random (a Poisson process).
enum OpenLoop {
    @MainActor static func run(_ workload: Workload, at endpoint: String, as name: String, _ phases: [Phase]) async throws -> [PhaseReport] {
        let channel = try Channel(to: endpoint, name: name)
        defer { channel.close() }
        try await workload.call(channel)
        let recorder = Recorder()
        var reports: [PhaseReport] = []
        for phase in phases {
            let usageBefore = processorSeconds()
            let start = MonotonicTime.now
            let offered = offer(workload, phase, from: start, on: channel, to: recorder)
            let processorShare = (processorSeconds() - usageBefore) / phase.seconds
            reports.append(PhaseReport(phase: phase, start: start, offered: offered, processorShare: processorShare))
        }
        // Each call ends by its own time.
        while recorder.count < reports.reduce(0, { $0 + $1.offered }) { try await Task.sleep(for: .milliseconds(10)) }
        let samples = recorder.samples
        for index in reports.indices {
            let end = index + 1 < reports.count ? reports[index + 1].start : MonotonicTime(nanoseconds: .max)
            reports[index].samples = samples.filter { $0.intended >= reports[index].start && $0.intended < end }
        }
        return reports
    }

    /// Starts the calls of a phase as they become due; returns how many there were. Keeps the main thread, which carries out no
    /// calls.
    @MainActor private static func offer(
        _ workload: Workload, _ phase: Phase, from start: MonotonicTime, on channel: Channel, to recorder: Recorder
    ) -> Int {
        let end = start.advanced(by: .seconds(phase.seconds))
        let meanGap = 1_000_000_000 / phase.rate
        var next = start
        var offered = 0
        while next < end {
            let now = MonotonicTime.now
            while next <= now, next < end {
                let intended = next
                Task.detached { recorder.add(await sample(workload, intended, on: channel)) }
                offered += 1
                next.nanoseconds += UInt64(-log(Double.random(in: Double.leastNonzeroMagnitude..<1)) * meanGap)
            }
            usleep(pauseMicroseconds)
        }
        return offered
    }

    /// Between two looks at what is due.
    private static let pauseMicroseconds: UInt32 = 200

    private static func sample(_ workload: Workload, _ intended: MonotonicTime, on channel: Channel) async -> Sample {
        var outcome = Sample.Outcome.succeeded
        do throws(RPCError) {
            try await workload.call(channel)
        } catch {
            switch error.code {
            case .resourceExhausted where error.disposition == .notExecuted: outcome = .refused
            case .deadlineExceeded: outcome = .expired
            default:
                outcome = .failed
                let line = "\(error)\n"
                write(STDERR_FILENO, line, line.utf8.count)
            }
        }
        let latency = Duration.microseconds(Int64(MonotonicTime.now.microseconds(since: intended)))
        if outcome == .succeeded, latency > Workload.budget { outcome = .expired }
        return Sample(intended: intended, latency: latency, outcome: outcome)
    }

    /// Seconds of processor time of this process.
    private static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// Collects samples from many tasks.
private final class Recorder: Sendable {
    private let all = Mutex<[Sample]>([])

    func add(_ sample: Sample) { all.withLock { $0.append(sample) } }
    var count: Int { all.withLock { $0.count } }
    var samples: [Sample] { all.withLock { $0 } }
}
