import Glibc
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("Pauses between inserts")
struct InsertPauseTests {
    /// What came of a second or so of calls: how many batches there were, and after how many of them a pause.
    private struct Run {
        var calls = 0
        var batches = 0
        var pauses = 0
        var seconds = 0.0
    }

    private static let insertNanoseconds: UInt64 = 2_800_000

    /// One insert at a time takes what has arrived by then. `next` gives the arrivals that follow from a batch's answers.
    private func run(_ first: [UInt64], for nanoseconds: UInt64, next: (_ answered: Int, _ time: UInt64) -> [UInt64]) -> Run {
        var (pause, result) = (InsertPause(), Run())
        var waiting = first
        let start: UInt64 = 1_000_000_000
        var time = start
        while time < start + nanoseconds {
            var batch = waiting.filter { $0 <= time }
            if batch.isEmpty {
                time = waiting.min() ?? start + nanoseconds
                batch = waiting.filter { $0 <= time }
            }
            guard !batch.isEmpty else { break }
            waiting.removeAll { $0 <= time }
            pause.begins(batch.map { MonotonicTime(nanoseconds: $0) })
            time += Self.insertNanoseconds
            waiting += next(batch.count, time)
            let rest = pause.ends(calls: batch.count, at: MonotonicTime(nanoseconds: time))
            time += UInt64(rest / .nanoseconds(1))
            result.calls += batch.count
            result.batches += 1
            if rest > .zero { result.pauses += 1 }
        }
        result.seconds = Double(time - start) / 1e9
        return result
    }

    @Test("callers who do not wait for each other are served by fewer inserts", arguments: [500.0, 2000, 5000], Seeds.fresh(3))
    func openLoop(perSecond: Double, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var arrivals: [UInt64] = []
        var time = 1_000_000_000.0
        while time < 3e9 {
            time -= log(Double.random(in: Double.leastNonzeroMagnitude..<1, using: &random)) * 1e9 / perSecond
            arrivals.append(UInt64(time))
        }
        let run = run(arrivals, for: 2_000_000_000) { _, _ in [] }
        let shouldPause = perSecond >= 2000
        // Chance may do without for a while.
        #expect(!shouldPause || run.pauses > run.batches * 2 / 3, "\(run)")
        #expect(!shouldPause || Double(run.batches) < run.seconds * 1e9 / Double(Self.insertNanoseconds) * 0.6, "\(run)")
    }

    @Test("callers who wait for each other's answers lose less than a tenth", arguments: [2, 3, 16, 60, 100], Seeds.fresh(2))
    func closedLoop(callers: Int, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        // Each comes back within a millisecond.
        let run = run((0..<callers).map { _ in UInt64.random(in: 1_000_000_000...1_002_000_000, using: &random) }, for: 2_000_000_000) { count, time in
            (0..<count).map { _ in time + UInt64.random(in: 100_000...1_000_000, using: &random) }
        }
        #expect(Double(run.pauses) * 0.004 < run.seconds / 10, "\(run)")
    }

    @Test("nobody waits after a call alone, or after as many as are worth an insert anyway", arguments: [1, Limits.ordersForAnotherInsert, 1000])
    func noPause(calls: Int) {
        var pause = InsertPause()
        for _ in 0..<100 {
            pause.begins(Array(repeating: .now, count: calls))
            #expect(pause.ends(calls: calls, at: .now) == .zero)
        }
    }

    @Test("pauses come back when callers do not wait for each other any more")
    func comesBack() {
        var pause = InsertPause()
        var time = MonotonicTime(nanoseconds: 1_000_000_000)
        /// Whether there is a pause after a batch, and then a batch whose calls came then, that much into the pause.
        func goesOn(_ microseconds: [Int64]) -> Bool {
            let rest = pause.ends(calls: 8, at: time)
            pause.begins(microseconds.map { time.advanced(by: .microseconds($0)) })
            time = time.advanced(by: rest + .milliseconds(3))
            return rest > .zero
        }
        var pauses = 0
        while goesOn([100, 200, 300]), pauses < 100 { pauses += 1 }
        #expect((1...20).contains(pauses))
        var without = 1
        while !goesOn([100, 1200, 2300, 3400]), without < 1000 { without += 1 }
        #expect(without == Limits.insertsWithoutPause)
        // What came early then still counts, and less each time.
        var batches = 0
        pauses = 0
        while pauses < Limits.insertsWithoutPause, batches < 1000 {
            batches += 1
            pauses = goesOn([100, 1200, 2300, 3400]) ? pauses + 1 : 0
        }
        #expect(batches < 20 * Limits.insertsWithoutPause)
    }
}
