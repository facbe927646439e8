import RPC
import Testing

@Suite struct AgeEstimatorTests {
    @Test func theFastestRequestHasNoAgeAndOthersHaveTheirDelay() {
        var estimator = AgeEstimator()
        // The client's clock is 5 s behind; the fastest way takes 40 us.
        #expect(estimator.age(sentAt: 1_000_000, arrival: 6_000_040) == 0)
        #expect(estimator.age(sentAt: 1_001_000, arrival: 6_001_040) == 0)
        #expect(estimator.age(sentAt: 1_002_000, arrival: 6_802_040) == 800_000)
    }

    @Test func clocksMayBeAnyDistanceApart() {
        for sentAt in [0, 5, UInt64.max - 1_000, UInt64.max / 2] {
            var estimator = AgeEstimator()
            #expect(estimator.age(sentAt: sentAt, arrival: 1_000_000) == 0)
            #expect(estimator.age(sentAt: sentAt &+ 100, arrival: 1_000_150) == 50)
        }
    }

    @Test func aDriftIsForgottenAfterTwoWindows() {
        var estimator = AgeEstimator()
        let window = AgeEstimator.windowMicroseconds
        _ = estimator.age(sentAt: 0, arrival: 100)
        // From now on everything takes 1,000 us longer.
        #expect(estimator.age(sentAt: 1_000, arrival: 2_100) == 1_000)
        #expect(estimator.age(sentAt: window, arrival: window + 1_100) == 1_000)
        #expect(estimator.age(sentAt: 2 * window, arrival: 2 * window + 1_100) == 0)
    }

    @Test func aLyingClockHarmsOnlyItself() {
        var estimator = AgeEstimator()
        _ = estimator.age(sentAt: .max / 2, arrival: 10)
        // No trap, whatever comes.
        for sentAt: UInt64 in [.max, 0, 1, .max / 2 + 1] { _ = estimator.age(sentAt: sentAt, arrival: 20) }
    }
}
