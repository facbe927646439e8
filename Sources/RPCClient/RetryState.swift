import RPC

/// Why a try of a call brought no response.
///
/// Indirect, so that the outcome of a try that succeeds is small: it is moved several times on its way to the caller.
indirect enum AttemptFailure: Error, Equatable {
    /// The server's verdict.
    case served(RPCError)
    /// The connection went while the call was in flight.
    case lost(RPCError)
    /// The server vouches that it did not take the call, as it has no session for it or is about to end.
    case turnedAway(RPCError)
    /// It never left this client, and another server is ready.
    case unsent
    /// Nothing that another try could change: the time is over, the caller cancelled, the channel is closed.
    case final(RPCError)
}

/// What a call does after a try that failed. Made at its first failure.
///
/// Pure: time, randomness and the retry budget are arguments.
struct RetryState {
    enum Decision: Equatable {
        /// At another server if there is one, at once; takes nothing from the policy's tries.
        case elsewhere
        /// After so many microseconds; or the call fails with this where its budget is used up by then.
        case again(after: UInt64, or: RPCError)
        case giveUp(RPCError)
    }

    /// How often a call may be turned away before that counts as a failure: more often than servers end one after another.
    static let maxTurnedAway = 8

    private let policy: RetryPolicy
    private let idempotency: Idempotency
    /// Tries that count.
    private var tries = 0
    private var turnedAway = 0
    /// An earlier try may have run.
    private var mayHaveRun = false
    /// How often the call was sent.
    private(set) var sentCount = 0

    init(_ policy: RetryPolicy, idempotency: Idempotency) {
        self.policy = policy
        self.idempotency = idempotency
    }

    /// A try has left this client. To be called before `decide`.
    mutating func wasSent() { sentCount += 1 }

    /// - Parameters:
    ///   - remaining: microseconds that the call has left.
    ///   - hasBudget: a server that allows retries can be sent the next try.
    ///   - random: at least 0, less than 1.
    mutating func decide(_ failure: AttemptFailure, remaining: UInt64, hasBudget: Bool, random: Double) -> Decision {
        switch failure {
        case .unsent:
            return .elsewhere
        case .turnedAway where turnedAway < Self.maxTurnedAway && remaining > 0:
            turnedAway += 1
            return .elsewhere
        case .turnedAway(let error), .served(let error), .lost(let error):
            tries += 1
            if error.disposition == .maybe { mayHaveRun = true }
            guard tries < policy.maxAttempts, isRetryable(error), hasBudget else { return .giveUp(final(error)) }
            let wait = wait(before: tries, error.retryDelay?.wholeMicroseconds ?? 0, random)
            return wait < remaining ? .again(after: wait, or: final(error)) : .giveUp(final(error))
        case .final(let error):
            return .giveUp(final(error))
        }
    }

    /// `error` as the whole call's outcome: a last try that did not run says nothing of those before it.
    func final(_ error: RPCError) -> RPCError {
        var error = error
        if mayHaveRun && error.disposition == .notExecuted { error.disposition = .maybe }
        if sentCount > 1 {
            error.metadata["attempts"] = "\(sentCount)"
            error.message += " (sent \(sentCount) times)"
        }
        return error
    }

    private func isRetryable(_ error: RPCError) -> Bool {
        guard policy.retryableCodes.contains(error.code) else { return false }
        if error.code == .resourceExhausted && error.retryDelay == nil { return false }
        return switch error.disposition {
        case .notExecuted: true
        case .maybe: idempotency.allowsRepetition
        case .executed: false
        }
    }

    /// The wait grows with each try, around a random middle; the server's word is a lower bound.
    private func wait(before retry: Int, _ asked: UInt64, _ random: Double) -> UInt64 {
        let jitter = min(max(policy.jitter, 0), 1)
        var backoff = Double(policy.initialBackoff.wholeMicroseconds)
        for _ in 1..<retry { backoff *= max(1, policy.multiplier) }
        backoff = min(backoff, Double(policy.maxBackoff.wholeMicroseconds)) * (1 - jitter + 2 * jitter * random)
        return max(UInt64(clampingWhole: backoff), UInt64(clampingWhole: Double(asked) * (1 + jitter * random)))
    }
}

extension UInt64 {
    /// The whole part of a number that is not negative; the largest number where it is larger.
    fileprivate init(clampingWhole number: Double) { self = number < 0x1p63 ? UInt64(number) : .max }
}
