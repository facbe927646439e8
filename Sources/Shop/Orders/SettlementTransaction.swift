import MongoDB
import RPC

/// Decides a batch of orders and records it, in one transaction: all of it happens, once, or nothing. The orders' own documents follow by
/// another (`QueueExit`).
struct SettlementTransaction: Sendable {
    let leases: LeaseStore
    let orders: OrderStore
    let stock: StockStore
    let catalogue: CategoryStore
    let settlements: SettlementStore
    let progress: ProgressStore

    enum Outcome: Sendable, Equatable {
        /// The orders are final; the last of their numbers.
        case settled(last: Int64)
        /// Someone else holds the lease. Nothing was done.
        case leaseLost
    }

    /// - Parameters:
    ///   - lasting: for how long the lease is renewed.
    ///   - exit: the way of the orders out of the queue.
    ///   - known: what earlier settlements of this settler know of products; in the end, what this one knows.
    ///   - pause: waits before a repetition, or returns false to give up.
    func run(
        _ batch: [OrderRecord], by exit: QueueExit, epoch: Int64, lasting: Duration, knowing known: inout KnownProducts,
        on session: borrowing Session, before deadline: Deadline, pause: (Duration) -> Bool
    ) throws(MongoError) -> Outcome {
        do throws(MongoError) {
            let settled = try Transactions.run(on: session, to: .primary, before: deadline, pause: pause) { session throws(MongoError) in
                try settle(batch, exit, epoch, lasting, known, session, before: deadline)
            }
            guard let settled else { return .leaseLost }
            FaultPoint.afterCommit.pass()
            exit.commit(before: deadline)
            known.learn(settled.products, without: settled.taken, at: settled.stamp)
            return .settled(last: settled.last)
        } catch {
            exit.abort()
            known = KnownProducts()
            throw error
        }
    }

    /// Lets the orders of the next few settlements leave the queue whose orders have not: what a `QueueExit` before this one was not able to
    /// do. Returns how many settlements; 0 where there are none. A majority has all settlements, and nobody else holds the lease.
    func catchUp(
        _ client: borrowing Client, on session: borrowing Session, before deadline: Deadline, pause: (Duration) -> Bool
    ) throws(MongoError) -> Int {
        let mark = try progress.sequence(client, before: deadline)
        let left = try settlements.settlements(after: mark, through: .max, of: nil, count: Limits.logBatch, client, before: deadline)
        for settlement in left {
            guard let finalAt = settlement.rows.first?.finalAt else { continue }
            try Transactions.run(on: session, before: deadline, pause: pause) { session throws(MongoError) in
                try orders.leaveQueue(settlement.rows, settlement: settlement.last, isCommitted: true, finalAt: finalAt, session)
                try progress.advance(to: settlement.last, session, before: deadline)
            }
        }
        return left.count
    }

    /// Takes an order out of the queue without deciding it. False where someone else holds the lease: nothing was done.
    func park(
        _ id: String, reason: String, epoch: Int64, lasting: Duration, on session: borrowing Session, before deadline: Deadline,
        pause: (Duration) -> Bool
    ) throws(MongoError) -> Bool {
        try Transactions.run(on: session, before: deadline, pause: pause) { session throws(MongoError) in
            guard try leases.takeSequence(0, epoch: epoch, lasting: lasting, session, before: deadline) != nil else { return false }
            try orders.park(id, reason: reason, session, before: deadline)
            return true
        }
    }

    /// What a settlement has used and changed.
    private struct Settled {
        var last: Int64
        var products: [String: StockedProduct]
        var taken: [String: Int64]
        var stamp: CatalogStamp
    }

    /// Nil where the lease is lost.
    private func settle(
        _ batch: [OrderRecord], _ exit: QueueExit, _ epoch: Int64, _ lasting: Duration, _ known: KnownProducts, _ session: borrowing Session,
        before deadline: Deadline
    ) throws(MongoError) -> Settled? {
        guard let last = try leases.takeSequence(batch.count, epoch: epoch, lasting: lasting, session, before: deadline) else { return nil }
        let open = batch.map(\.open)
        let demands = Decisions.mostDemands(of: open)
        let stamp = try catalogue.stamp(session, before: deadline)
        var products = known.enough(for: demands, at: stamp)
        let unknown = demands.keys.filter { products[$0] == nil }
        if !unknown.isEmpty {
            products.merge(try stock.products(unknown.sorted(), session, before: deadline)) { _, read in read }
        }
        let decisions = Decisions.decide(open, products: products)

        let finalAt = BSONDate.now()
        let first = last - Int64(batch.count) + 1
        let rows = zip(batch, decisions.verdicts).enumerated().map { index, decided in
            CompletionRecord(
                sequence: first + Int64(index), orderID: decided.0.id, identity: decided.0.identity, key: decided.0.key,
                verdict: decided.1, traceparent: decided.0.traceparent, finalAt: finalAt)
        }
        try exit.leave(rows, settlement: last, finalAt: finalAt, before: deadline)
        try stock.take(decisions.stockChanges(products), at: finalAt, session)
        FaultPoint.inTransaction.pass()
        let server = try settlements.insert(
            Settlement(last: last, rows: rows), epoch: epoch, finalAt: finalAt, session, before: deadline)
        guard try exit.left() == server else { throw SettlementConflict.error("another server has become the primary meanwhile") }
        FaultPoint.beforeCommit.pass()
        return Settled(last: last, products: products, taken: decisions.demands, stamp: stamp)
    }
}
