@testable import RPCServer
import TestSupport
import Testing

/// How long batches need: an estimate that knows its ignorance, and that heals.
@Suite struct ExecutionTimesTests {
    private static let millisecond: UInt64 = 1_000_000

    @Test func tooFewSayNothing() {
        var times = ExecutionTimes()
        for _ in 0..<(ExecutionTimes.fewest - 1) { times.add(Self.millisecond) }
        #expect(times.p99 == 0)
    }

    @Test func oneOutlierInAHundredIsNotTheRule() {
        var times = ExecutionTimes()
        for index in 0..<256 { times.add(index == 200 ? 900 * Self.millisecond : Self.millisecond) }
        #expect(times.p99 == Self.millisecond)
        for index in 0..<256 { times.add(index % 30 == 0 ? 20 * Self.millisecond : Self.millisecond) }
        #expect(times.p99 == 20 * Self.millisecond)
    }

    @Test(arguments: Seeds.fresh(3)) func nearlyAllOfTheLatestStayBelow(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var times = ExecutionTimes()
        var all: [UInt64] = []
        for _ in 0..<Int.random(in: ExecutionTimes.capacity...1000, using: &random) * 16 {
            all.append(UInt64.random(in: 1..<1_000_000, using: &random))
            times.add(all[all.count - 1])
        }
        let latest = all.suffix(ExecutionTimes.capacity)
        #expect(latest.count { $0 > times.p99 } == 1)
    }

    /// After a stall, everything that is known is slow, and calls with less time would never be tried again.
    @Test func whatIsNeverTriedIsForgotten() {
        var times = ExecutionTimes()
        for _ in 0..<ExecutionTimes.capacity { times.add(1200 * Self.millisecond) }
        var refused = 0
        var tried = 0
        // Calls have 900 ms left, and in truth take one.
        for _ in 0..<2000 where tried < ExecutionTimes.capacity + 32 {
            if times.p99 > 900 * Self.millisecond {
                refused += 1
                times.refuse()
            } else {
                tried += 1
                times.add(Self.millisecond)
            }
        }
        #expect(refused < 20, "\(refused) batches were refused on the word of an old stall")
        #expect(times.p99 == Self.millisecond)
    }
}
