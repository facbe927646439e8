import Glibc
import MongoDB
import RPC

/// Transactions, repeated as their errors' labels say.
enum Transactions {
    /// Runs `body` in a transaction on `session` until it commits.
    ///
    /// A conflict repeats the whole, after a pause that grows; a commit whose outcome is open repeats the commit alone, as the
    /// transaction may be done. libmongoc's own loop would go on for 120 s, and without a pause.
    ///
    /// - Parameters:
    ///   - concern: what the commit waits for.
    ///   - deadline: no repetition begins after it.
    ///   - backoff: how long to pause.
    ///   - pause: waits, or returns false where the work is to be given up.
    static func run<Result>(
        on session: borrowing Session, to concern: CommitConcern = .majority, before deadline: Deadline, backoff: Backoff = Backoff(),
        pause: (Duration) -> Bool = { blockThread(for: $0) },
        _ body: (borrowing Session) throws(MongoError) -> Result
    ) throws(MongoError) -> Result {
        var backoff = backoff
        while true {
            do throws(MongoError) {
                try session.startTransaction(commitConcern: concern, maxCommitTime: deadline.remaining)
                let result = try uncommitted(session, body)
                // Too late: aborted, nothing of it remains.
                if deadline.hasPassed { throw MongoError(.timeout, "no time was left to commit") }
                try commit(session, before: deadline, pause)
                return result
            } catch {
                session.abortTransaction()
                guard error.labels.contains(.transientTransaction), !deadline.hasPassed, pause(backoff.next()) else { throw error }
            }
        }
    }

    /// Waits until a majority has what a session's last transaction did, which was committed to the primary.
    static func makeDurable(_ session: borrowing Session, before deadline: Deadline) throws(MongoError) {
        do throws(MongoError) {
            try commit(session, before: deadline) { blockThread(for: $0) }
        } catch {
            var error = error
            error.mayHaveRun = true
            throw error
        }
    }

    /// Runs `body`. Whatever became of its statements, nothing of them remains without a commit.
    private static func uncommitted<Result>(
        _ session: borrowing Session, _ body: (borrowing Session) throws(MongoError) -> Result
    ) throws(MongoError) -> Result {
        do throws(MongoError) {
            return try body(session)
        } catch {
            var error = error
            error.mayHaveRun = false
            throw error
        }
    }

    /// Commits what is open in the session. Where the outcome is open, the commit is tried again.
    static func commit(
        _ session: borrowing Session, before deadline: Deadline, _ pause: (Duration) -> Bool
    ) throws(MongoError) {
        var backoff = Backoff()
        while true {
            do throws(MongoError) {
                return try session.commitTransaction()
            } catch {
                guard error.labels.contains(.unknownCommitResult) else { throw error }
                guard !deadline.hasPassed, pause(backoff.next()) else {
                    var error = error
                    error.mayHaveRun = true
                    throw error
                }
            }
        }
    }

    /// Waits in this thread: a worker's, which belongs to the call.
    private static func blockThread(for duration: Duration) -> Bool {
        usleep(UInt32(clamping: duration.wholeMicroseconds))
        return true
    }
}
