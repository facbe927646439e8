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
    }

    /// The orders with these ids that belong to who asks for them, by id.
    func find(
        ownedBy owners: [String: String], _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [String: Found] {
        let records = try orders.orders(ownedBy: owners, client, before: deadline)
        let results = try settlements.results(of: records, client, before: deadline)
        var found: [String: Found] = [:]
        for record in records { found[record.id] = Found(record: record, result: results[record.id]) }
        return found
    }

    /// Missing, another caller's, or never possible: one answer, the same bytes.
    static let notFound = RPCError(.notFound, reason: "ORDER_NOT_FOUND", "there is no such order of this caller")
}
