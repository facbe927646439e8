import MongoDB
import ProtoShop
import RPC
import Synchronization

/// Calls that wait for their order to become final, without holding a worker.
///
/// One thread serves all of them: it reads what new calls ask for, follows the settlement log while anybody waits, and
/// answers whom a settlement concerns or whose time is over. The settler of this server wakes it at once; settlements of
/// another server are found by the poll. With nobody waiting it sleeps.
final class OrderWaiters: Sendable {
    /// Answers a call with its order as it stands, or with why not. Called once, in the waiters' thread or where it was added.
    typealias Answer = @Sendable (Result<OrderReader.Found, RPCError>) -> Void

    private let database: ShopDatabase
    private let reader: OrderReader
    private let thread = LoopThread()
    private let news = SettledNews()
    private let arrivals = Mutex(Arrivals())

    /// Calls that the thread has not seen yet.
    private struct Arrivals {
        var calls: [Waiter] = []
        /// Calls that wait, seen or not: bounded.
        var count = 0
        var isClosed = false
    }

    /// A call, and how long it waits at most.
    private struct Waiter {
        /// The order.
        let id: String
        let call: CallContext
        let identity: String
        let answer: Answer
        let until: MonotonicTime
        /// The order as it was found; nil before.
        var found: OrderReader.Found?
    }

    init(database: ShopDatabase, reader: OrderReader) {
        self.database = database
        self.reader = reader
    }

    func start() { thread.start(named: "waiters") { [self] in run() } }

    /// Something was settled. From any thread.
    func wake(at time: ClusterTime?) {
        guard count > 0 else { return }
        news.note(time)
        thread.wake()
    }

    /// Calls that wait.
    var count: Int { arrivals.withLock { $0.count } }

    /// Answers all who wait, with what is known, and ends the thread.
    func stop() {
        arrivals.withLock { $0.isClosed = true }
        thread.stop()
    }

    /// Takes over a call that waits for an order of its caller. From any thread.
    func add(_ id: String, _ call: CallContext, for time: Duration, answer: @escaping Answer) {
        // The answer has to arrive before the caller's own deadline.
        let margin = min(Self.answerMargin, call.deadline.remaining / 4)
        let latest = MonotonicTime(nanoseconds: call.deadline.time.nanoseconds &- margin.wholeMicroseconds &* 1000)
        let waiter = Waiter(
            id: id, call: call, identity: call.identity.name, answer: answer, until: min(MonotonicTime.now.advanced(by: time), latest))
        let refusal: RPCError? = arrivals.withLock { arrivals in
            if arrivals.isClosed { return Shop.shuttingDown }
            if arrivals.count >= Limits.maxWaiters { return Self.full }
            arrivals.count += 1
            arrivals.calls.append(waiter)
            return nil
        }
        if let refusal { answer(.failure(refusal)) } else { thread.wake() }
    }

    /// What it takes to read the order once more and to send the answer.
    private static let answerMargin = Duration.milliseconds(50)

    private static let full = RPCError(
        .resourceExhausted, reason: "QUEUE_FULL", "\(Limits.maxWaiters) calls wait already", disposition: .notExecuted,
        retryDelay: .seconds(1))

    // MARK: - The waiters' thread

    private func run() {
        var waiting: [String: [Waiter]] = [:]
        /// The log has been read up to here; nil while nobody waited.
        var position: Int64?
        while !thread.isStopping {
            admit(takeArrivals(), &waiting, &position)
            if !waiting.isEmpty { follow(&waiting, &position) }
            if waiting.isEmpty { position = nil }
            thread.sleep(atMost: waiting.isEmpty ? nil : nextPause(waiting))
        }
        for waiter in waiting.values.flatMap({ $0 }) { finish(waiter, .success(waiter.found)) }
        for waiter in takeArrivals() { finish(waiter, .failure(Shop.shuttingDown)) }
    }

    private func takeArrivals() -> [Waiter] {
        arrivals.withLock { arrivals in
            defer { arrivals.calls = [] }
            return arrivals.calls
        }
    }

    private func nextPause(_ waiting: [String: [Waiter]]) -> Duration {
        let earliest = waiting.values.lazy.flatMap { $0 }.map(\.until).min() ?? .now
        return min(Limits.logPoll, .microseconds(Int64(clamping: earliest.microseconds(since: .now))))
    }

    /// Answers calls whose order is final or not there; the others wait from now on.
    ///
    /// The log's end is read before the orders are, so that what is settled in between is found in the log.
    private func admit(_ arrived: [Waiter], _ waiting: inout [String: [Waiter]], _ position: inout Int64?) {
        guard !arrived.isEmpty else { return }
        var found: [[String: OrderReader.Found]] = []
        do throws(MongoError) {
            try database.pool.withClient { client throws(MongoError) in
                if position == nil { position = try reader.settlements.lastSequence(client, before: .after(Limits.maxQueryTime)) }
                found = try find(arrived, client)
            }
        } catch {
            let failure = database.rpcError(error, .read, .after(Limits.maxQueryTime))
            for waiter in arrived { finish(waiter, .failure(failure)) }
            return
        }
        for var waiter in arrived {
            waiter.found = Self.order(of: waiter, in: found)
            if let order = waiter.found, !order.isFinal, waiter.until > .now {
                waiting[order.record.id, default: []].append(waiter)
            } else {
                finish(waiter, .success(waiter.found))
            }
        }
    }

    /// Reads the log on, answers whom it concerns, and those whose time is over.
    private func follow(_ waiting: inout [String: [Waiter]], _ position: inout Int64?) {
        do throws(MongoError) {
            try database.pool.withClient { client throws(MongoError) in
                try readLog(&waiting, &position, client)
                try refreshOverdue(&waiting, client)
            }
        } catch {
            database.logger.warning("Waiting calls cannot follow the settlements", metadata: ["error": "\(error)"])
            answerOverdue(&waiting)
        }
    }

    private func readLog(
        _ waiting: inout [String: [Waiter]], _ position: inout Int64?, _ client: borrowing Client
    ) throws(MongoError) {
        let end = try reader.settlements.end(after: news.take(), client)
        while !waiting.isEmpty, let after = position, after < end {
            let settlements = try reader.settlements.settlements(
                after: after, through: end, of: nil, count: Limits.logBatch, client, before: .after(Limits.maxQueryTime))
            for row in settlements.lazy.flatMap(\.rows) {
                for var waiter in waiting.removeValue(forKey: row.orderID) ?? [] {
                    waiter.found?.result = row
                    finish(waiter, .success(waiter.found))
                }
            }
            guard let last = settlements.last else { return }
            position = last.last
        }
    }

    /// The orders that the waiters ask for, each for its own identity. All of them by one query, but where two identities ask
    /// for the same id, of whom one must not see it.
    private func find(_ waiters: [Waiter], _ client: borrowing Client) throws(MongoError) -> [[String: OrderReader.Found]] {
        var queries: [[String: String]] = []
        for waiter in waiters {
            let id = waiter.id
            if let place = queries.firstIndex(where: { $0[id, default: waiter.identity] == waiter.identity }) {
                queries[place][id] = waiter.identity
            } else {
                queries.append([id: waiter.identity])
            }
        }
        let before = CommandTime.ofThisThread
        defer {
            let time = CommandTime.ofThisThread - before
            for waiter in waiters { waiter.call.addDatabaseTime(time) }
        }
        var found: [[String: OrderReader.Found]] = []
        for owners in queries { found.append(try reader.find(ownedBy: owners, client, before: .after(Limits.maxQueryTime))) }
        return found
    }

    private static func order(of waiter: Waiter, in found: [[String: OrderReader.Found]]) -> OrderReader.Found? {
        found.lazy.compactMap { $0[waiter.id] }.first { $0.record.identity == waiter.identity }
    }

    /// Whose time is over gets the order as it stands now.
    private func refreshOverdue(_ waiting: inout [String: [Waiter]], _ client: borrowing Client) throws(MongoError) {
        let now = MonotonicTime.now
        let overdue = waiting.values.lazy.flatMap { $0 }.filter { $0.until <= now || $0.call.isAbandoned }
        guard !overdue.isEmpty else { return }
        let found = try find(overdue.filter { !$0.call.isAbandoned }, client)
        for var waiter in remove(from: &waiting, where: { $0.until <= now || $0.call.isAbandoned }) {
            waiter.found = Self.order(of: waiter, in: found) ?? waiter.found
            finish(waiter, .success(waiter.found))
        }
    }

    /// The database is away: whose time is over gets the order as it was seen last.
    private func answerOverdue(_ waiting: inout [String: [Waiter]]) {
        let now = MonotonicTime.now
        for waiter in remove(from: &waiting, where: { $0.until <= now }) { finish(waiter, .success(waiter.found)) }
    }

    private func remove(from waiting: inout [String: [Waiter]], where isDone: (Waiter) -> Bool) -> [Waiter] {
        let done = waiting.values.flatMap { $0 }.filter(isDone)
        guard !done.isEmpty else { return [] }
        waiting = waiting.compactMapValues { waiters in
            let rest = waiters.filter { !isDone($0) }
            return rest.isEmpty ? nil : rest
        }
        return done
    }

    private func finish(_ waiter: Waiter, _ result: Result<OrderReader.Found?, RPCError>) {
        arrivals.withLock { $0.count -= 1 }
        waiter.answer(result.flatMap { found in found.map { .success($0) } ?? .failure(OrderReader.notFound) })
    }
}
