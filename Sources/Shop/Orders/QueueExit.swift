import MongoDB
import RPC
import Synchronization

/// The second half of a settlement: its orders leave the queue for their final states, in a transaction of its own.
///
/// That is as much work for the database as all the rest of a settlement, so it is done beside it, by a thread and a connection of its
/// own. It begins, and has changed the orders, before the settlement commits, and commits only after it:
/// - What would stand in its way, a wish to cancel, is found while the settlement can still be undone.
/// - A server that stops being the primary aborts all transactions. So where both were on one server, and this one is still open after
///   the settlement's commit, it commits on a history that has the settlement.
///
/// What it loses of a settlement that is committed is done again from the log, by whoever holds the lease next (`catchUp`).
///
/// All methods are for the settler's thread.
final class QueueExit: Sendable {
    private let pool: ClientPool
    private let orders: OrderStore
    private let progress: ProgressStore
    /// Called in this thread when a majority has what was committed, with its time.
    private let didSettle: @Sendable (ClusterTime?) -> Void
    private let thread = LoopThread()
    /// The settler's, which waits here for outcomes.
    private let settler: LoopThread
    private let desk = Mutex(Desk())

    /// What the two threads hand to each other: one job at a time, and what became of it.
    private struct Desk {
        var job: Job?
        var outcome: Result<Outcome, MongoError>?
        var stage = Stage.idle
        /// Whether there is no session to work with, or none any more.
        var isClosed = true
    }

    private enum Job: Sendable {
        /// Takes a new connection and a new session. What was open is aborted.
        case open
        case leave([CompletionRecord], settlement: Int64, finalAt: BSONDate, before: Deadline)
        case commit(before: Deadline)
        case abort
    }

    private enum Outcome: Sendable {
        case opened(SessionID)
        case left(server: UInt32)
        case ended
    }

    /// What the settler has asked for.
    private enum Stage {
        case idle
        /// The orders are leaving. Nobody has waited for it yet.
        case leaving
        case left
        /// Nobody has waited for it yet.
        case committing
        /// A commit has failed.
        case broken
    }

    init(
        pool: ClientPool, orders: OrderStore, progress: ProgressStore, settler: LoopThread,
        didSettle: @escaping @Sendable (ClusterTime?) -> Void
    ) {
        self.pool = pool
        self.orders = orders
        self.progress = progress
        self.settler = settler
        self.didSettle = didSettle
    }

    func start() { thread.start(named: "queue-exit") { [self] in run() } }

    /// Ends the thread. After the settler's.
    func stop() { thread.stop() }

    // MARK: - For the settler's thread

    /// Begins anew, with a connection and a session whose id is returned: it is one of those to be killed after this process.
    func open() throws(MongoError) -> SessionID {
        abort()
        // What became of it is seen in the database.
        if stage == .committing { _ = outcome() }
        give(.open, entering: .idle)
        guard case .opened(let session) = try outcome().get() else { preconditionFailure("an opening ends with a session") }
        return session
    }

    /// Lets orders leave the queue, in a transaction that `commit` ends or `abort`. Waits for the commit before, and throws what
    /// became of that; does not wait for this.
    func leave(
        _ rows: [CompletionRecord], settlement: Int64, finalAt: BSONDate, before deadline: Deadline
    ) throws(MongoError) {
        abort()
        try finish()
        give(.leave(rows, settlement: settlement, finalAt: finalAt, before: deadline), entering: .leaving)
    }

    /// Waits until a majority has the settlement before, and the orders have left. Returns the server on which, as `WriteResult` names
    /// it.
    ///
    /// Throws `.writeConflict` where one of them is not queued any more, or its client does not want it any more.
    func left() throws(MongoError) -> UInt32 {
        guard case .left(let server) = try outcome().get() else { preconditionFailure("leaving ends with a server") }
        desk.withLock { $0.stage = .left }
        return server
    }

    /// Begins to commit to the primary, and then to wait for a majority, which has the settlement then, too. To be called when
    /// the settlement is committed.
    func commit(before deadline: Deadline) { give(.commit(before: deadline), entering: .committing) }

    /// Waits for the last commit to the primary. Where it failed, the orders may be in the queue although they are settled (`isBroken`).
    func finish() throws(MongoError) {
        if stage == .broken { throw MongoError(.invalidState, "orders that are settled have not left the queue") }
        guard stage == .committing, case .failure(var error) = outcome() else { return }
        desk.withLock { $0.stage = .broken }
        // Repeating what comes after it does not help.
        error.labels = []
        throw error
    }

    /// Whether a commit has failed, or a majority could not be waited for. Nothing can go on: everything has to begin anew, with `open`
    /// and `catchUp`.
    var isBroken: Bool { desk.withLock { $0.stage == .broken || $0.isClosed } }

    /// Undoes what is not being committed.
    func abort() {
        let isLeaving = stage == .leaving
        guard isLeaving || stage == .left else { return }
        if isLeaving { _ = outcome() }
        give(.abort, entering: .idle)
        _ = outcome()
    }

    private var stage: Stage { desk.withLock { $0.stage } }

    private func give(_ job: Job, entering stage: Stage) {
        desk.withLock { desk in
            precondition(desk.job == nil && desk.outcome == nil, "one job at a time")
            desk.job = job
            desk.stage = stage
        }
        thread.wake()
    }

    /// Waits for what became of a job.
    private func outcome() -> Result<Outcome, MongoError> {
        while true {
            let outcome = desk.withLock { desk in
                defer { desk.outcome = nil }
                if desk.outcome != nil { desk.stage = .idle }
                return desk.outcome
            }
            if let outcome { return outcome }
            settler.sleep(atMost: nil)
        }
    }

    // MARK: - The thread

    private func run() {
        var failure = MongoError(.invalidState, "there is no session for leaving the queue")
        while let job = next() {
            guard case .open = job else {
                report(.failure(failure))
                continue
            }
            do throws(MongoError) {
                try serve()
            } catch {
                failure = error
                failure.labels = []
                desk.withLock { $0.isClosed = true }
                // Where a majority could not be waited for, the next job hears of it.
                if isOpening { report(.failure(failure)) }
            }
        }
    }

    /// Waits for a job. Nil where there will be none.
    private func next() -> Job? {
        while !thread.isStopping {
            if let job = desk.withLock({ $0.job }) { return job }
            thread.sleep(atMost: nil)
        }
        return nil
    }

    private var isOpening: Bool {
        desk.withLock { desk in
            if case .open = desk.job { true } else { false }
        }
    }

    private func report(_ outcome: Result<Outcome, MongoError>) {
        desk.withLock { desk in
            desk.job = nil
            desk.outcome = outcome
        }
        settler.wake()
    }

    /// Works with one connection and one session until other ones are asked for, or a majority cannot be waited for.
    private func serve() throws(MongoError) {
        let client = try pool.takeClient()
        let session = try client.startSession()
        desk.withLock { $0.isClosed = false }
        report(.success(.opened(session.id)))
        while let job = next() {
            switch job {
            case .open: return
            case .leave(let rows, let settlement, let finalAt, let deadline):
                report(Result { () throws(MongoError) in .left(server: try leave(rows, settlement, finalAt, deadline, session)) })
            case .commit(let deadline):
                let isCommitted = commit(session, before: deadline)
                // The settler goes on meanwhile.
                if isCommitted { try confirm(session, before: deadline) }
            case .abort:
                session.abortTransaction()
                report(.success(.ended))
            }
        }
    }

    private func leave(
        _ rows: [CompletionRecord], _ settlement: Int64, _ finalAt: BSONDate, _ deadline: Deadline, _ session: borrowing Session
    ) throws(MongoError) -> UInt32 {
        do throws(MongoError) {
            try session.startTransaction(commitConcern: .primary, maxCommitTime: deadline.remaining)
            let server = try orders.leaveQueue(rows, settlement: settlement, finalAt: finalAt, session)
            try progress.advance(to: settlement, session, before: deadline)
            return server
        } catch {
            session.abortTransaction()
            var error = error
            error.mayHaveRun = false
            throw error
        }
    }

    private func commit(_ session: borrowing Session, before deadline: Deadline) -> Bool {
        do throws(MongoError) {
            try Transactions.commit(session, before: deadline, pause)
            FaultPoint.afterExit.pass()
            report(.success(.ended))
            return true
        } catch {
            report(.failure(error))
            return false
        }
    }

    /// Waits until a majority has what was committed, and says so. That makes the database write its journal at once.
    private func confirm(_ session: borrowing Session, before deadline: Deadline) throws(MongoError) {
        try Transactions.commit(session, before: deadline, pause)
        didSettle(session.operationTime)
    }

    /// False where the settler is to stop, which waits for this thread.
    private func pause(for duration: Duration) -> Bool {
        thread.pause(for: duration)
        return !settler.isStopping
    }
}
