import Logging
import MongoDB
import RPC
import Synchronization

/// Decides accepted orders. One settler works in the cluster, the one that holds the lease; the others stand by.
///
/// A thread of its own, which sleeps until an order was accepted here, or its poll is due for what other servers accepted.
final class Settler: Sendable {
    private let pool: ClientPool
    private let transaction: SettlementTransaction
    private let exit: QueueExit
    private let logger: Logger
    private let thread = LoopThread()
    /// Whether this server settles, as far as it knows: a standby need not wake up for each order that it accepts.
    private let isHolding = Atomic<Bool>(false)
    /// This server's name in the lease document.
    private let name: String
    /// Called after each settlement, in a thread of the settler's, with its time: a majority may not have it yet.
    private let didSettle: @Sendable (ClusterTime?) -> Void

    init(
        pool: ClientPool, transaction: SettlementTransaction, name: String, logger: Logger,
        didSettle: @escaping @Sendable (ClusterTime?) -> Void
    ) {
        self.pool = pool
        self.transaction = transaction
        self.name = name
        self.logger = logger
        self.didSettle = didSettle
        exit = QueueExit(pool: pool, orders: transaction.orders, progress: transaction.progress, settler: thread, didSettle: didSettle)
    }

    func start() {
        exit.start()
        thread.start(named: "settler") { [self] in run() }
    }

    /// Orders were accepted. From any thread.
    func wake() {
        // Who finds it down stored its order before the flag rose, and so before the settler's next look into the queue.
        if isHolding.load(ordering: .sequentiallyConsistent) { thread.wake() }
    }

    /// Ends the threads, after the settlement that they are in, and gives the lease back.
    func stop() {
        thread.stop()
        exit.stop()
    }

    // MARK: - The settler's thread

    private func run() {
        var lease = LeaseState(name: name)
        var troubles = Troubles()
        var backoff = Backoff()
        var sessions: [SessionID] = []
        while !thread.isStopping {
            do throws(MongoError) {
                try work(&lease, &sessions, &troubles, &backoff)
            } catch {
                logger.warning("Settling has to wait for the database", metadata: ["error": "\(error)"])
                lease.doubt()
                thread.pause(for: backoff.next())
            }
        }
        giveBack(lease)
    }

    /// So that another server need not wait for the lease's end.
    private func giveBack(_ lease: LeaseState) {
        guard case .holding(let epoch, _) = lease.phase else { return }
        do throws(MongoError) {
            try exit.finish()
            try pool.withClient { client throws(MongoError) in
                try transaction.leases.release(epoch: epoch, client, before: .after(Self.patience))
            }
        } catch {
            logger.info("The lease stays until it runs out", metadata: ["error": "\(error)"])
        }
    }

    /// Works with two sessions until it is stopped or the database fails.
    ///
    /// - Parameter sessions: those that were used last.
    private func work(
        _ lease: inout LeaseState, _ sessions: inout [SessionID], _ troubles: inout Troubles, _ backoff: inout Backoff
    ) throws(MongoError) {
        let client = try pool.takeClient()
        // A commit that did not get through has left its transaction open.
        if !sessions.isEmpty { try client.killSessions(sessions, timeLimit: Self.patience) }
        let session = try client.startSession()
        sessions = [session.id, try exit.open()]
        // The lease names the sessions whose transactions are to be killed after us: these from now on.
        lease.doubt()
        var (backlog, memory) = (Backlog(), Memory())
        while !thread.isStopping {
            let now = MonotonicTime.now
            isHolding.store(lease.isHeld, ordering: .sequentiallyConsistent)
            switch lease.action(at: now) {
            case .look:
                (backlog, memory) = (Backlog(), Memory())
                try look(&lease, sessions, client)
            case .renew(let epoch):
                try renew(epoch, &lease, sessions, client)
            case .settle where !memory.hasCaughtUp:
                try catchUp(&memory, session, client)
            case .settle(let epoch):
                let isIdle = try settle(epoch, &backlog, &memory, &lease, &troubles, session, client)
                backoff.reset()
                if isIdle {
                    lease.rested()
                    sleep(until: min(lease.nextDue, now.advanced(by: Limits.settlerPoll)))
                }
            case .wait(let until):
                sleep(until: until)
            }
        }
    }

    /// Bounds a statement of the settler outside of transactions.
    private static let patience = Limits.maxQueryTime

    private func sleep(until time: MonotonicTime) {
        thread.sleep(atMost: .microseconds(Int64(clamping: time.microseconds(since: .now))))
    }

    /// Takes the lease where it may. What its last holder left open is killed first: it would block the lease document until the
    /// database's own limit for transactions.
    private func look(_ lease: inout LeaseState, _ sessions: [SessionID], _ client: borrowing Client) throws(MongoError) {
        let asked = MonotonicTime.now
        let leases = transaction.leases
        guard let observed = try leases.observe(client, before: .after(Self.patience)) else {
            return try leases.create(client, before: .after(Self.patience))
        }
        guard lease.mayTake(observed, at: asked) else { return lease.stayStandby(at: asked) }
        if !observed.sessions.isEmpty { try client.killSessions(observed.sessions, timeLimit: Self.patience) }
        FaultPoint.inRecovery.pass()
        let epoch = try leases.take(
            from: observed, holder: name, sessions: sessions, lasting: lease.duration, client, before: .after(Self.patience))
        guard let epoch else { return lease.stayStandby(at: asked) }
        lease.taken(epoch: epoch, askedAt: asked)
        logger.info("This server settles orders now", metadata: ["epoch": "\(epoch)"])
    }

    /// Renews the lease, which waits for a majority: it then has all that was settled before, too.
    private func renew(
        _ epoch: Int64, _ lease: inout LeaseState, _ sessions: [SessionID], _ client: borrowing Client
    ) throws(MongoError) {
        let asked = MonotonicTime.now
        let isHeld = try transaction.leases.renew(
            epoch: epoch, sessions: sessions, lasting: lease.duration, client, before: .after(Self.patience))
        if isHeld { lease.renewed(askedAt: asked) } else { lose(&lease) }
    }

    /// Does some of what was left undone when this settler took or doubted its lease, before anything is read from the queue. The lease
    /// was taken or renewed since, which waits for a majority, and for the end of an open transaction that holds its document.
    private func catchUp(
        _ memory: inout Memory, _ session: borrowing Session, _ client: borrowing Client
    ) throws(MongoError) {
        let count = try transaction.catchUp(client, on: session, before: .after(Limits.maxTransactionTime), pause: pause)
        memory.hasCaughtUp = count == 0
        guard count > 0 else { return }
        logger.notice("Orders that were settled have left the queue", metadata: ["settlements": "\(count)"])
        didSettle(session.operationTime)
    }

    private func lose(_ lease: inout LeaseState) {
        logger.notice("Another server settles orders now")
        lease.lost(at: .now)
    }

    /// Orders that were read from the head of the queue and did not fit the batches before: reading them again for each batch
    /// would cost more than all else. What leaves the queue by other hands is noticed in the transaction.
    private struct Backlog {
        var orders: ArraySlice<OrderRecord> = []
        var scan = QueueScan()
    }

    /// What the settlements so far leave behind for the next ones.
    private struct Memory {
        /// Whether all orders that were settled before have left the queue.
        var hasCaughtUp = false
        var products = KnownProducts()
    }

    /// Settles one batch. Returns whether there was nothing to do.
    private func settle(
        _ epoch: Int64, _ backlog: inout Backlog, _ memory: inout Memory, _ lease: inout LeaseState, _ troubles: inout Troubles,
        _ session: borrowing Session, _ client: borrowing Client
    ) throws(MongoError) -> Bool {
        if backlog.orders.isEmpty, try !read(&backlog, &lease, session, client) { return true }
        let batch = Array(backlog.orders.prefix(SettlementBatch.prefix(of: backlog.orders.lazy.map(\.open))))
        backlog.orders.removeFirst(batch.count)
        do throws(MongoError) {
            try settle(batch, epoch, &memory, &lease, session)
        } catch {
            backlog = Backlog()
            if exit.isBroken { throw error }
            // An order was cancelled, or a product changed, since it was read: read anew, it can be settled.
            if error.kind == .writeConflict { return false }
            guard !error.isAboutDatabase else { throw error }
            logger.warning("A batch cannot be settled; trying parts of it", metadata: ["error": "\(error)"])
            try settleInParts(batch[...], epoch, &memory, &lease, &troubles, session)
        }
        return false
    }

    /// Reads the head of the queue. False where there is nothing in it.
    private func read(
        _ backlog: inout Backlog, _ lease: inout LeaseState, _ session: borrowing Session, _ client: borrowing Client
    ) throws(MongoError) -> Bool {
        // What it lets go must not be read again.
        try exit.finish()
        let now = MonotonicTime.now
        let start = backlog.scan.start(at: now)
        let limit = Limits.maxSettlementWrites
        let head = try transaction.orders.oldest(limit, from: start, client, before: .after(Self.patience))
        for id in head.unreadable { try park(id, "the document is no order", &lease, session) }
        let isAll = head.orders.count + head.unreadable.count < limit
        backlog.scan.didRead(from: start, upTo: head.orders.last?.acceptedAt, isAll: isAll, at: now)
        backlog.orders = head.orders[...]
        return !head.orders.isEmpty
    }

    private func settle(
        _ batch: [OrderRecord], _ epoch: Int64, _ memory: inout Memory, _ lease: inout LeaseState, _ session: borrowing Session
    ) throws(MongoError) {
        let asked = MonotonicTime.now
        let outcome = try transaction.run(
            batch, by: exit, epoch: epoch, lasting: lease.duration, knowing: &memory.products, on: session,
            before: .after(Limits.maxTransactionTime), pause: pause)
        switch outcome {
        case .settled(let last):
            lease.renewed(askedAt: asked)
            lease.settled(in: .microseconds(Int64(clamping: MonotonicTime.now.microseconds(since: asked))))
            logger.debug("Settled", metadata: ["orders": "\(batch.count)", "sequence": "\(last)"])
        case .leaseLost:
            lose(&lease)
        }
    }

    /// Settles what can be, by halves: one bad order among hundreds costs some transactions more, not hundreds. What has failed
    /// too often by itself is parked, so that it stands in nobody's way.
    private func settleInParts(
        _ batch: ArraySlice<OrderRecord>, _ epoch: Int64, _ memory: inout Memory, _ lease: inout LeaseState,
        _ troubles: inout Troubles, _ session: borrowing Session
    ) throws(MongoError) {
        let middle = batch.startIndex + batch.count / 2
        for part in [batch[..<middle], batch[middle...]] where !part.isEmpty {
            guard case .holding = lease.phase, !thread.isStopping else { return }
            do throws(MongoError) {
                try settle(Array(part), epoch, &memory, &lease, session)
                for order in part { troubles.forget(order.id) }
            } catch {
                guard !error.isAboutDatabase, !exit.isBroken else { throw error }
                if part.count > 1 {
                    try settleInParts(part, epoch, &memory, &lease, &troubles, session)
                } else if let order = part.first, troubles.hasFailedTooOften(order.id) {
                    try park(order.id, "\(error)", &lease, session)
                }
            }
        }
    }

    private func park(
        _ id: String, _ reason: String, _ lease: inout LeaseState, _ session: borrowing Session
    ) throws(MongoError) {
        guard case .holding(let epoch, _) = lease.phase else { return }
        logger.error("An order cannot be settled and is parked", metadata: ["order": "\(id)", "error": "\(reason)"])
        let isHeld = try transaction.park(
            id, reason: reason, epoch: epoch, lasting: lease.duration, on: session, before: .after(Limits.maxTransactionTime), pause: pause)
        if !isHeld { lose(&lease) }
    }

    /// Waits in the settler's thread; false where it is to stop.
    private func pause(for duration: Duration) -> Bool {
        thread.pause(for: duration)
        return !thread.isStopping
    }
}

/// How often single orders have failed.
struct Troubles: Sendable {
    private var failures: [String: Int] = [:]

    /// Counts one more failure, and tells whether it was the last that is allowed.
    mutating func hasFailedTooOften(_ id: String) -> Bool {
        let count = failures[id, default: 0] + 1
        failures[id] = count < Limits.maxSettlementTries ? count : nil
        return count >= Limits.maxSettlementTries
    }

    mutating func forget(_ id: String) { failures[id] = nil }
}
