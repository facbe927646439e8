import MongoDB
import RPC

/// Decides a batch of orders and records it, in one transaction: all of it happens, once, or nothing.
struct SettlementTransaction: Sendable {
    let leases: LeaseStore
    let orders: OrderStore
    let stock: StockStore
    let catalogue: CategoryStore
    let settlements: SettlementStore

    enum Outcome: Sendable, Equatable {
        /// The orders are final; the last of their numbers.
        case settled(last: Int64)
        /// Someone else holds the lease. Nothing was done.
        case leaseLost
    }

    /// - Parameters:
    ///   - lasting: for how long the lease is renewed.
    ///   - known: what earlier settlements of this settler know of products; in the end, what this one knows.
    ///   - concern: what the commit waits for.
    ///   - pause: waits before a repetition, or returns false to give up.
    func run(
        _ batch: [OrderRecord], epoch: Int64, lasting: Duration, knowing known: inout KnownProducts, on session: borrowing Session,
        to concern: CommitConcern = .majority, before deadline: Deadline, pause: (Duration) -> Bool
    ) throws(MongoError) -> Outcome {
        do throws(MongoError) {
            let settled = try Transactions.run(on: session, to: concern, before: deadline, pause: pause) { session throws(MongoError) in
                try settle(batch, epoch, lasting, known, session, before: deadline)
            }
            guard let settled else { return .leaseLost }
            FaultPoint.afterCommit.pass()
            known.learn(settled.products, without: settled.taken, at: settled.stamp)
            return .settled(last: settled.last)
        } catch {
            known = KnownProducts()
            throw error
        }
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
        _ batch: [OrderRecord], _ epoch: Int64, _ lasting: Duration, _ known: KnownProducts, _ session: borrowing Session,
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
        try stock.take(decisions.stockChanges(products), at: finalAt, session)
        FaultPoint.inTransaction.pass()
        try orders.leaveQueue(rows, settlement: last, finalAt: finalAt, session)
        try settlements.insert(
            Settlement(last: last, rows: rows), epoch: epoch, finalAt: finalAt, session, before: deadline)
        FaultPoint.beforeCommit.pass()
        return Settled(last: last, products: products, taken: decisions.demands, stamp: stamp)
    }
}
