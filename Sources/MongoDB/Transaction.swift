internal import Glibc

/// How long to wait before the next try: 5 ms, half as much again each time, at most 500 ms, and a random part of it so
/// that those who collided do not meet again.
package struct Backoff: Sendable {
    private static let first = Duration.milliseconds(5)
    private static let growth = 1.5
    private static let longest = Duration.milliseconds(500)

    /// What the next wait is at most.
    private(set) var limit = Backoff.first

    package init() {}

    /// The next wait: between half of the limit and all of it.
    package mutating func next() -> Duration {
        let wait = limit * Double.random(in: 0.5...1)
        limit = min(limit * Self.growth, Self.longest)
        return wait
    }
}

/// What a transaction's driver does after a failure; decided without I/O.
package enum TransactionRetry: Equatable, Sendable {
    /// Run it all again, after a wait.
    case transaction
    /// The transaction is whole on the server: only the commit goes again.
    case commit
    case giveUp

    package static func after(_ error: MongoError, committing: Bool) -> TransactionRetry {
        // A commit with both labels has been answered "it is gone": nothing was committed.
        if error.labels.contains(.transientTransaction) { return .transaction }
        if committing, error.labels.contains(.unknownCommitResult) { return .commit }
        return .giveUp
    }
}

extension Session {
    /// Runs `body` in a transaction and commits it, trying again as the labels allow until `deadline`.
    ///
    /// `body` may run several times; a thrown error aborts. When the deadline passes on a commit whose outcome is not
    /// known, the error has the label `.unknownCommitResult` and `mayHaveRun`.
    package func withTransaction<R>(
        until deadline: ContinuousClock.Instant, readConcern: ReadConcern = .snapshot,
        _ body: () throws(MongoError) -> R
    ) throws(MongoError) -> R {
        var backoff = Backoff()
        while true {
            do throws(MongoError) {
                try startTransaction(readConcern: readConcern, maxCommitTime: deadline - ContinuousClock.now)
                let result = try body()
                try commit(until: deadline)
                return result
            } catch {
                abortTransaction()
                guard TransactionRetry.after(error, committing: false) == .transaction,
                    pause(&backoff, until: deadline)
                else { throw error }
            }
        }
    }

    private func commit(until deadline: ContinuousClock.Instant) throws(MongoError) {
        var backoff = Backoff()
        while true {
            do throws(MongoError) {
                return try commitTransaction()
            } catch {
                guard TransactionRetry.after(error, committing: true) == .commit, pause(&backoff, until: deadline)
                else { throw error }
            }
        }
    }
}

extension ClientPool {
    /// Runs `operation` with a client, again and again until `deadline` while it fails for reasons that pass: no server,
    /// a broken connection, an election. It must be harmless to repeat.
    package func retrying<R>(
        until deadline: ContinuousClock.Instant, _ operation: (borrowing Client) throws(MongoError) -> R
    ) throws(MongoError) -> R {
        var backoff = Backoff()
        while true {
            do throws(MongoError) {
                return try withClient(operation)
            } catch {
                guard error.mayPass, pause(&backoff, until: deadline) else { throw error }
            }
        }
    }
}

/// Sleeps, and returns false at once when that would end after the deadline.
private func pause(_ backoff: inout Backoff, until deadline: ContinuousClock.Instant) -> Bool {
    let wait = backoff.next()
    guard ContinuousClock.now + wait < deadline else { return false }
    usleep(UInt32(clamping: wait.components.attoseconds / 1_000_000_000_000))
    return true
}
