import MongoDB
import RPC

/// The settlement's view of `products`: prices, and stock.
struct StockStore: Sendable {
    let database: String

    /// Price and stock of the products with these ids, in the session's transaction. Those that do not exist are left out.
    func products(
        _ ids: [String], _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> [String: StockedProduct] {
        let filter = Document { filter in filter.document("_id") { $0.append("$in", ids) } }
        let projection = Document { $0.append("price", 1); $0.append("stock", 1) }
        var cursor = try session.collection(CollectionName.products, in: database)
            .find(filter, FindOptions(projection: projection, limit: ids.count, timeLimit: deadline.remaining))
        var products: [String: StockedProduct] = [:]
        while let row = try cursor.next() {
            products[try row.string("_id")] = StockedProduct(
                price: try MinorAmount(try row.document("price")), stock: try row.int64("stock") + (Flaw.oversells.isPresent ? Limits.maxStock : 0))
        }
        return products
    }

    /// Takes pieces from stock, in the session's transaction: one statement for all products that lose the same number, none
    /// of them below zero.
    ///
    /// Throws `.writeConflict` where there is less in stock than was decided on.
    func take(_ changes: [Decisions.StockChange], at time: BSONDate, _ session: borrowing Session) throws(MongoError) {
        guard !changes.isEmpty else { return }
        var bulk = try session.collection(CollectionName.products, in: database).bulkWrite(ordered: false)
        for change in changes {
            let filter = Document { filter in
                filter.document("_id") { $0.append("$in", change.productIDs) }
                // What was not read in this snapshot may be less by now, and `in_stock` has to follow the last piece.
                if !Flaw.oversells.isPresent {
                    filter.document("stock") { $0.append(change.leavesNone ? "$gte" : "$gt", change.quantity) }
                }
            }
            let update = Update { update in
                update.document("$inc") { $0.append("stock", -change.quantity) }
                update.document("$set") { set in
                    set.append("updated", time)
                    // As the transaction's snapshot says; anybody else's change makes it fail.
                    if change.leavesNone { set.append("in_stock", false) }
                }
            }
            try bulk.updateMany(filter, update, hint: "_id_")
        }
        let result = try bulk.execute().checked()
        guard result.modifiedCount == changes.reduce(0, { $0 + $1.productIDs.count }) else {
            throw SettlementConflict.error("stock was taken meanwhile")
        }
    }
}
