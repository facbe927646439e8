import RPC
@testable import RPCClient
import TestSupport
import Testing

/// What becomes of a call whose try has failed.
@Suite struct RetryStateTests {
    private static func policy(_ change: (inout RetryPolicy) -> Void = { _ in }) -> RetryPolicy {
        var policy = RetryPolicy()
        policy.initialBackoff = .milliseconds(10)
        policy.maxBackoff = .milliseconds(50)
        policy.jitter = 0
        change(&policy)
        return policy
    }

    private static func error(
        _ code: StatusCode = .unavailable, _ disposition: Disposition = .notExecuted, retryDelay: Duration? = nil
    ) -> RPCError { RPCError(code, reason: "R", "m", disposition: disposition, retryDelay: retryDelay) }

    /// What is left of a decision without the failure that it may end in.
    enum Step: Equatable {
        case elsewhere
        case again(after: UInt64)

        init?(_ decision: RetryState.Decision) {
            switch decision {
            case .elsewhere: self = .elsewhere
            case .again(let wait, or: _): self = .again(after: wait)
            case .giveUp: return nil
            }
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var failure: AttemptFailure
        var idempotency = Idempotency.unknown
        var remaining: UInt64 = 1_000_000
        var hasBudget = true
        var random = 0.5
        var policy = RetryStateTests.policy()
        /// Nil: the call fails with this very failure.
        var expected: Step?
    }

    private static let refusal = AttemptFailure.served(error())
    private static let lost = AttemptFailure.lost(error(.unavailable, .maybe))

    static let cases: [Case] = [
        Case(testDescription: "not executed: any method", failure: refusal, expected: .again(after: 10_000)),
        Case(testDescription: "lost in flight: not if it may run once only", failure: lost),
        Case(testDescription: "lost in flight: idempotent", failure: lost, idempotency: .idempotent, expected: .again(after: 10_000)),
        Case(testDescription: "lost in flight: no side effects", failure: lost, idempotency: .noSideEffects, expected: .again(after: 10_000)),
        Case(testDescription: "executed: decided", failure: .served(error(.unavailable, .executed)), idempotency: .idempotent),
        Case(testDescription: "exhausted without a time to wait", failure: .served(error(.resourceExhausted))),
        Case(
            testDescription: "exhausted with a time to wait",
            failure: .served(error(.resourceExhausted, retryDelay: .milliseconds(100))), expected: .again(after: 100_000)),
        Case(
            testDescription: "a wait of the server's that is shorter than the backoff",
            failure: .served(error(retryDelay: .milliseconds(1))), expected: .again(after: 10_000)),
        Case(
            testDescription: "a wait of the server's is a lower bound, whatever the jitter",
            failure: .served(error(retryDelay: .milliseconds(100))), random: 0, policy: policy { $0.jitter = 1 },
            expected: .again(after: 100_000)),
        Case(
            testDescription: "jitter makes a server's wait longer", failure: .served(error(retryDelay: .milliseconds(100))),
            policy: policy { $0.jitter = 0.5 }, expected: .again(after: 125_000)),
        Case(testDescription: "least jitter", failure: refusal, random: 0, policy: policy { $0.jitter = 0.2 }, expected: .again(after: 8_000)),
        Case(testDescription: "jitter beyond all", failure: refusal, random: 0, policy: policy { $0.jitter = 7 }, expected: .again(after: 0)),
        Case(testDescription: "the wait does not fit", failure: refusal, remaining: 10_000),
        Case(testDescription: "the wait just fits", failure: refusal, remaining: 10_001, expected: .again(after: 10_000)),
        Case(testDescription: "a server asks for ever", failure: .served(error(retryDelay: .seconds(Int64.max)))),
        Case(testDescription: "no budget", failure: refusal, hasBudget: false),
        Case(testDescription: "never", failure: refusal, policy: .never),
        Case(testDescription: "another code", failure: .served(error(.internalError))),
        Case(
            testDescription: "a code of one's own", failure: .served(error(.aborted)), policy: policy { $0.retryableCodes = [.aborted] },
            expected: .again(after: 10_000)),
        Case(testDescription: "turned away", failure: .turnedAway(error()), hasBudget: false, policy: .never, expected: .elsewhere),
        Case(testDescription: "turned away too late", failure: .turnedAway(error()), remaining: 0),
        Case(testDescription: "unsent", failure: .unsent, remaining: 0, hasBudget: false, policy: .never, expected: .elsewhere),
        Case(testDescription: "final", failure: .final(error()), idempotency: .idempotent),
    ]

    @Test(arguments: cases) func theFirstFailure(_ it: Case) {
        var state = RetryState(it.policy, idempotency: it.idempotency)
        state.wasSent()
        let decision = state.decide(it.failure, remaining: it.remaining, hasBudget: it.hasBudget, random: it.random)
        if let expected = it.expected {
            #expect(Step(decision) == expected)
        } else {
            guard case .giveUp(let error) = decision else { return #expect(Bool(false), "\(decision)") }
            switch it.failure {
            case .served(let own), .lost(let own), .turnedAway(let own), .final(let own): #expect(error == own)
            case .unsent: #expect(Bool(false), "no failure")
            }
        }
    }

    @Test func waitsGrowUpToTheLongest() {
        var state = RetryState(Self.policy { $0.maxAttempts = 6 }, idempotency: .unknown)
        var waits: [UInt64] = []
        while case .again(let wait, or: _) = state.decide(Self.refusal, remaining: .max, hasBudget: true, random: 0.5) { waits.append(wait) }
        #expect(waits == [10_000, 20_000, 40_000, 50_000, 50_000])
    }

    @Test func theLastErrorSaysHowOftenTheCallWasSent() {
        var state = RetryState(Self.policy { $0.maxAttempts = 3 }, idempotency: .unknown)
        var last: RetryState.Decision?
        for _ in 0..<3 {
            state.wasSent()
            last = state.decide(Self.refusal, remaining: .max, hasBudget: true, random: 0)
        }
        guard case .giveUp(let error) = last else { return #expect(Bool(false), "\(String(describing: last))") }
        #expect(error.metadata["attempts"] == "3" && error.message == "m (sent 3 times)" && error.disposition == .notExecuted)
    }

    /// Once a try may have run, no later one can say that the call did not.
    @Test(arguments: [AttemptFailure.final(error(.cancelled)), .served(error(.internalError)), .served(error())])
    func whatMayHaveRunStaysSo(_ last: AttemptFailure) {
        var state = RetryState(Self.policy { $0.maxAttempts = 2 }, idempotency: .idempotent)
        state.wasSent()
        #expect(Step(state.decide(Self.lost, remaining: .max, hasBudget: true, random: 0)) == .again(after: 10_000))
        state.wasSent()
        guard case .giveUp(let error) = state.decide(last, remaining: .max, hasBudget: true, random: 0) else {
            return #expect(Bool(false), "tried again")
        }
        #expect(error.disposition == .maybe)
    }

    @Test func beingTurnedAwayForEverCountsInTheEnd() {
        var state = RetryState(.never, idempotency: .unknown)
        for _ in 0..<RetryState.maxTurnedAway {
            #expect(state.decide(.turnedAway(Self.error()), remaining: 1, hasBudget: false, random: 0) == .elsewhere)
        }
        #expect(state.decide(.turnedAway(Self.error()), remaining: 1, hasBudget: false, random: 0) == .giveUp(Self.error()))
    }

    /// Any history: tries are bounded, nothing runs twice that may not, no wait passes the deadline.
    @Test(arguments: Seeds.fresh(4)) func randomHistories(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            let policy = Self.policy {
                $0.maxAttempts = .random(in: 0...6, using: &random)
                $0.jitter = .random(in: 0...1, using: &random)
            }
            let idempotency = [Idempotency.unknown, .noSideEffects, .idempotent].randomElement(using: &random) ?? .unknown
            var state = RetryState(policy, idempotency: idempotency)
            var (counted, runs, steps) = (0, 0, 0)
            while true {
                steps += 1
                let error = Self.error(
                    StatusCode.allCases.randomElement(using: &random) ?? .unavailable,
                    Disposition.allCases.randomElement(using: &random) ?? .maybe,
                    retryDelay: Bool.random(using: &random) ? .microseconds(.random(in: 0...200_000, using: &random)) : nil)
                let failure = [AttemptFailure.served(error), .lost(error), .turnedAway(error), .unsent, .final(error)]
                    .randomElement(using: &random) ?? .unsent
                let remaining = UInt64.random(in: 0...300_000, using: &random)
                let hasBudget = Bool.random(using: &random)
                let decision = state.decide(failure, remaining: remaining, hasBudget: hasBudget, random: .random(in: 0..<1, using: &random))
                switch (failure, decision) {
                case (.served(let error), .again(let wait, _)), (.lost(let error), .again(let wait, _)), (.turnedAway(let error), .again(let wait, _)):
                    counted += 1
                    if error.disposition != .notExecuted { runs += 1 }
                    #expect(error.disposition != .executed && wait < remaining && hasBudget && policy.retryableCodes.contains(error.code))
                    if let delay = error.retryDelay { #expect(wait >= delay.wholeMicroseconds) }
                case (.unsent, .elsewhere), (.turnedAway, .elsewhere): break
                case (.unsent, _), (.final, .again), (.final, .elsewhere), (_, .elsewhere):
                    #expect(Bool(false), "\(failure): \(decision)")
                case (_, .giveUp(let error)):
                    if runs > 0 { #expect(error.disposition != .notExecuted) }
                }
                #expect(counted < max(1, policy.maxAttempts))
                #expect(runs == 0 || idempotency.allowsRepetition)
                if case .giveUp = decision { break }
                guard steps < 1000 else { break }
            }
        }
    }
}

/// What a server's failures and successes allow.
@Suite struct RetryBudgetTests {
    @Test func halfTheTokensAreForRetries() {
        var budget = RetryBudget()
        for _ in 0..<4 {
            budget.fail()
            #expect(budget.allowsRetries)
        }
        budget.fail()
        #expect(!budget.allowsRetries, "at half")
        budget.succeed()
        #expect(budget.allowsRetries, "above half")
    }

    @Test func itHasBounds() {
        var budget = RetryBudget()
        budget.succeed()
        #expect(budget == RetryBudget())
        for _ in 0..<100 { budget.fail() }
        #expect(budget.tenths == 0)
    }

    /// In the long run a server gets a tenth of its successes as retries, and a handful besides.
    @Test(arguments: Seeds.fresh(4)) func retriesAreBounded(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for share in [0.0, 0.3, 0.7, 0.95, 1] {
            var budget = RetryBudget()
            var (calls, successes, retries) = (0, 0, 0)
            while calls < 10_000 {
                calls += 1
                // A call is tried up to five times.
                for attempt in 1...5 {
                    if Double.random(in: 0..<1, using: &random) >= share {
                        budget.succeed()
                        successes += 1
                        break
                    }
                    budget.fail()
                    guard attempt < 5, budget.allowsRetries else { break }
                    retries += 1
                }
            }
            #expect(Double(retries) <= 5 + Double(successes) / 10, "\(retries) retries of \(calls) calls, \(share) failed")
        }
    }
}
