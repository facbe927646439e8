import MongoDB
import ProtoShop
import RPC

/// Reads orders of callers together with their results.
struct OrderReader: Sendable {
    let orders: OrderStore
    let settlements: SettlementStore

    /// An order and, once it is decided, its result.
    struct Found: Sendable {
        var record: OrderRecord
        var result: CompletionRecord?

        var isFinal: Bool { result != nil }
        var order: Orders.Order { record.order(result) }

        /// An order with its result, if that is among `results`. Nil where it has one that is gone: results are kept longer than
        /// orders, so this one is about to go, too.
        init?(_ record: OrderRecord, _ results: [String: CompletionRecord]) {
            self.record = record
            result = results[record.id]
            if record.settlement != nil && result == nil { return nil }
        }
    }

    /// The orders with these ids that belong to who asks for them, by id.
    func find(
        ownedBy owners: [String: String], _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [String: Found] {
        let records = try orders.orders(ownedBy: owners, client, before: deadline)
        let results = try settlements.results(of: records, client, before: deadline)
        var found: [String: Found] = [:]
        for record in records { found[record.id] = Found(record, results) }
        return found
    }

    /// Missing, another caller's, or never possible: one answer, the same bytes.
    static let notFound = RPCError(.notFound, reason: "ORDER_NOT_FOUND", "there is no such order of this caller")
}
