import MongoDB
import RPC

/// Decides a batch of orders and records it, in one transaction: all of it happens, once, or nothing.
struct SettlementTransaction: Sendable {
    let leases: LeaseStore
    let orders: OrderStore
    let stock: StockStore
    let settlements: SettlementStore

    enum Outcome: Sendable, Equatable {
        /// The orders are final; the last of their numbers.
        case settled(last: Int64)
        /// Someone else holds the lease. Nothing was done.
        case leaseLost
    }

    /// - Parameter pause: waits before a repetition, or returns false to give up.
    func run(
        _ batch: [OrderRecord], epoch: Int64, on session: borrowing Session, before deadline: Deadline,
        pause: (Duration) -> Bool
    ) throws(MongoError) -> Outcome {
        try Transactions.run(on: session, before: deadline, pause: pause) { session throws(MongoError) in
            try settle(batch, epoch, session, before: deadline)
        }
    }

    private func settle(
        _ batch: [OrderRecord], _ epoch: Int64, _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> Outcome {
        guard let last = try leases.takeSequence(batch.count, epoch: epoch, session, before: deadline) else { return .leaseLost }
        let ids = Set(batch.lazy.filter { !$0.isCancelled }.flatMap { $0.lines.map(\.productID) })
        let products = try stock.products(ids.sorted(), session, before: deadline)
        let decisions = Decisions.decide(batch.map(\.open), products: products)

        let finalAt = BSONDate.now()
        let first = last - Int64(batch.count) + 1
        let rows = zip(batch, decisions.verdicts).enumerated().map { index, decided in
            CompletionRecord(
                sequence: first + Int64(index), orderID: decided.0.id, identity: decided.0.identity, key: decided.0.key,
                verdict: decided.1, traceparent: decided.0.traceparent, finalAt: finalAt)
        }
        try stock.take(decisions.stockChanges(products), at: finalAt, session)
        try orders.leaveQueue(rows, settlement: last, finalAt: finalAt, session)
        try settlements.insert(
            Settlement(last: last, rows: rows), epoch: epoch, finalAt: finalAt, session, before: deadline)
        return .settled(last: last)
    }
}
