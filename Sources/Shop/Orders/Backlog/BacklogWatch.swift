import MongoDB
import RPC
import Synchronization

/// Knows how many orders wait to be settled, and refuses more than can be settled in time.
///
/// A thread of its own looks while orders are accepted or wait, and sleeps otherwise: at the sequence a few times a second, which costs
/// nothing, and at the queue less often, the longer that takes.
final class BacklogWatch: Sendable {
    private let database: ShopDatabase
    private let orders: OrderStore
    private let leases: LeaseStore
    private let thread = LoopThread()
    private let state: Mutex<State>

    private struct State {
        var backlog: BacklogState
        /// Orders that this server has stored since its start.
        var accepted: Int64 = 0
        /// Calls that were refused.
        var refused: Int64 = 0
    }

    init(database: ShopDatabase, orders: OrderStore, leases: LeaseStore, longest: Duration) {
        self.database = database
        self.orders = orders
        self.leases = leases
        state = Mutex(State(backlog: BacklogState(longest: longest)))
    }

    func start() { thread.start(named: "backlog") { [self] in run() } }

    func stop() { thread.stop() }

    /// Why new orders are not taken now; nil where they are. From any thread.
    var refusal: RPCError? {
        state.withLock { $0.backlog.refusal }.map { delay in
            RPCError(
                .resourceExhausted, reason: "BACKLOG_FULL",
                "as many orders wait to be settled as this server lets wait; send it again later, with the same key",
                disposition: .notExecuted, retryDelay: delay)
        }
    }

    /// Orders were stored, or calls refused. From any thread.
    func note(accepted: Int, refused: Int) {
        let isFirst = state.withLock { state in
            let wasEmpty = state.backlog.waiting == 0
            state.backlog.didAccept(accepted)
            state.accepted += Int64(accepted)
            state.refused += Int64(refused)
            return wasEmpty && accepted > 0
        }
        // While orders wait the thread looks by itself.
        if isFirst { thread.wake() }
    }

    /// For Stats.
    var gauges: [String: Int64] {
        state.withLock { state in
            [
                "orders_waiting": state.backlog.waiting, "orders_waiting_limit": state.backlog.limit,
                "orders_settled_per_second": Int64(state.backlog.rate ?? 0), "orders_refused_by_backlog": state.refused,
            ]
        }
    }

    // MARK: - The thread

    private func run() {
        var countAgain = MonotonicTime.now
        while !thread.isStopping {
            do throws(MongoError) {
                try database.pool.withClient { client throws(MongoError) in
                    guard MonotonicTime.now >= countAgain else { return try look(client) }
                    // Should counting take too long, it is not tried again at once.
                    countAgain = .now.advanced(by: Limits.backlogCountPatience)
                    countAgain = try count(client)
                }
            } catch {
                // What is known stays. Accepting meets the same database, and says so.
            }
            thread.pause(for: Limits.backlogLook)
            // The bell of `stop` may have rung during the pause.
            if !thread.isStopping, state.withLock({ $0.backlog.waiting }) == 0 { thread.sleep(atMost: nil) }
        }
    }

    private func look(_ client: borrowing Client) throws(MongoError) {
        let sequence = try leases.sequence(client, before: .after(Limits.maxQueryTime))
        let now = MonotonicTime.now
        state.withLock { $0.backlog.didSee(sequence: sequence, at: now) }
    }

    /// Returns when to count again.
    private func count(_ client: borrowing Client) throws(MongoError) -> MonotonicTime {
        let start = MonotonicTime.now
        let accepted = state.withLock { $0.accepted }
        let count = try orders.queuedCount(client, before: .after(Limits.maxQueryTime))
        let sequence = try leases.sequence(client, before: .after(Limits.maxQueryTime))
        let now = MonotonicTime.now
        state.withLock { state in
            state.backlog.didCount(count, sequence: sequence, acceptedMeanwhile: state.accepted - accepted, at: now)
        }
        let pause = Duration.microseconds(Int64(now.microseconds(since: start))) * Limits.backlogCountRest
        return now.advanced(by: max(pause, Limits.backlogCount))
    }
}
