import MongoDB
import RPC

/// Forgets what has been final for long enough: orders, and the settlements with their results.
///
/// The oldest settlement names the orders that became final first, so no index on the orders is needed to find them, which would cost
/// every order something when it is settled. A thread of each server does this; where two meet, the second finds less to do.
final class Retention: Sendable {
    private let database: ShopDatabase
    private let orders: OrderStore
    private let settlements: SettlementStore
    private let period: Duration
    private let thread = LoopThread()

    init(database: ShopDatabase, orders: OrderStore, settlements: SettlementStore, period: Duration) {
        self.database = database
        self.orders = orders
        self.settlements = settlements
        self.period = period
    }

    func start() { thread.start(named: "retention") { [self] in run() } }

    /// Looks at once. From any thread.
    func wake() { thread.wake() }

    func stop() { thread.stop() }

    // MARK: - The thread

    private func run() {
        while !thread.isStopping {
            let start = MonotonicTime.now
            if forgetSome() {
                // Rests for as long as it worked, so that it takes no more than half of a database that is busy.
                thread.pause(for: .microseconds(Int64(MonotonicTime.now.microseconds(since: start))))
            } else {
                thread.sleep(atMost: Limits.retentionLook)
            }
        }
    }

    /// Whether there may be more.
    private func forgetSome() -> Bool {
        do throws(MongoError) {
            return try database.pool.withClient { client throws(MongoError) in
                // An order is found by its settlement, until it has left the queue.
                let followed = try settlements.lastSequence(client, before: .after(Limits.maxQueryTime))
                let expired = try settlements.expired(
                    after: period, through: followed, count: Limits.forgottenAtOnce, client, before: .after(Limits.maxQueryTime))
                for settlement in expired {
                    // The result goes last: should this end in between, the next look finds the rest by it.
                    try orders.forget(settlement.orders, of: settlement.last, client, before: .after(Limits.maxQueryTime))
                    try settlements.forget(settlement.last, client, before: .after(Limits.maxQueryTime))
                }
                return expired.count == Limits.forgottenAtOnce
            }
        } catch {
            database.logger.warning("What has been kept long enough is not forgotten yet", metadata: ["error": "\(error)"])
            return false
        }
    }
}

extension SettlementStore {
    /// A settlement by its id, and the ids of its orders.
    struct Expired: Sendable, Equatable {
        var last: Int64
        var orders: [String]
    }

    /// The oldest settlements, as far as they are older than that by the database's clock: always from the first one on, so that no
    /// hole comes into the log.
    ///
    /// - Parameter end: none after this one.
    func expired(
        after period: Duration, through end: Int64, count: Int, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [Expired] {
        let first = [
            Document { stage in stage.document("$match") { $0.document("_id") { $0.append("$lte", end) } } },
            Document { $0.document("$sort") { $0.append("_id", 1) } },
            Document { $0.append("$limit", count) },
            Document { stage in
                stage.document("$project") { projection in
                    projection.append("rows.order", 1)
                    projection.document("isExpired") { comparison in
                        comparison.array("$lt") { operands in
                            operands.append("$final")
                            operands.document { difference in
                                difference.array("$subtract") {
                                    $0.append("$$NOW")
                                    $0.append(Int64(period.wholeMicroseconds / 1000))
                                }
                            }
                        }
                    }
                }
            },
        ]
        var cursor = try client.collection(CollectionName.settlements, in: database).aggregate(first, hint: "_id_", timeLimit: deadline.remaining)
        var expired: [Expired] = []
        while let row = try cursor.next(), try row.bool("isExpired") {
            var orders: [String] = []
            try row.array("rows").forEachDocument { row throws(MongoError) in orders.append(try row.string("order")) }
            expired.append(Expired(last: try row.int64("_id"), orders: orders))
        }
        return expired
    }

    fileprivate func forget(_ last: Int64, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) {
        try client.collection(CollectionName.settlements, in: database)
            .deleteOne(Document { $0.append("_id", last) }, timeLimit: deadline.remaining)
    }
}

extension OrderStore {
    /// Forgets orders that this settlement decided. One that has been accepted anew under the same key since then stays.
    fileprivate func forget(
        _ ids: [String], of settlement: Int64, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) {
        let filter = Document { filter in
            filter.document("_id") { $0.append("$in", ids) }
            filter.append("settlement", settlement)
        }
        try client.collection(CollectionName.orders, in: database).deleteMany(filter, timeLimit: deadline.remaining)
    }
}
