import MongoDB
import RPC

/// The collection `stock_adjustments`: what was asked for under each request id, and the first result.
struct StockAdjustmentStore: Sendable {
    let database: String

    static let indexes = [
        Index("expiry", keys: Document { $0.append("made", 1) }, expireAfter: Limits.requestIDLifetime)
    ]

    enum Outcome: Sendable, Equatable {
        /// - replayed: it had been made before; `stock` is from then.
        case adjusted(stock: Int64, replayed: Bool)
        /// The request id stands for another adjustment.
        case requestIDReused
        case notFound
        /// Stock would leave its range. Nothing was done, and the request id is free.
        case outOfRange(stock: Int64)
    }

    /// Changes the stock of a product, and records it, in one transaction: once for each request id of an identity.
    func adjust(
        _ adjustment: StockAdjustment, by identity: String, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Outcome {
        // Identities hold no slash.
        let id = "\(identity)/\(adjustment.requestID)"
        let session = try client.startSession()
        return try Transactions.run(on: session, before: deadline, backoff: Backoff(longest: Backoff.longestOfSmall)) { session throws(MongoError) in
            if let first = try outcome(of: adjustment, id, session, before: deadline) { return first }
            let now = BSONDate.now()
            guard let stock = try change(adjustment, at: now, session, before: deadline) else {
                return try refusal(of: adjustment, session, before: deadline)
            }
            let record = Document { record in
                record.append("_id", id)
                record.append("product", adjustment.productID)
                record.append("delta", adjustment.delta)
                record.append("stock", stock)
                record.append("made", now)
            }
            try session.collection(CollectionName.stockAdjustments, in: database).insertOne(record, timeLimit: deadline.remaining)
            return .adjusted(stock: stock, replayed: false)
        }
    }

    /// What became of this request id before; nil where it is new.
    private func outcome(
        of adjustment: StockAdjustment, _ id: String, _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> Outcome? {
        try session.collection(CollectionName.stockAdjustments, in: database)
            .findOne(Document { $0.append("_id", id) }, FindOptions(timeLimit: deadline.remaining)) { row throws(MongoError) in
                let (product, delta) = (try row.string("product"), try row.int64("delta"))
                guard product == adjustment.productID, delta == adjustment.delta else { return .requestIDReused }
                return .adjusted(stock: try row.int64("stock"), replayed: true)
            }
    }

    /// The product's stock after the change; nil where there is no such product, or no room for the change.
    private func change(
        _ adjustment: StockAdjustment, at time: BSONDate, _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> Int64? {
        let filter = Document { filter in
            filter.append("_id", adjustment.productID)
            filter.document("stock") {
                $0.append("$gte", -adjustment.delta)
                $0.append("$lte", Limits.maxStock - adjustment.delta)
            }
        }
        let newStock = Document { stage in
            stage.document("$set") { set in
                set.document("stock") { sum in
                    sum.array("$add") {
                        $0.append("$stock")
                        $0.append(adjustment.delta)
                    }
                }
                set.append("updated", time)
            }
        }
        let newFlag = Document { stage in
            stage.document("$set") { set in
                set.document("in_stock") { comparison in
                    comparison.array("$gt") {
                        $0.append("$stock")
                        $0.append(0)
                    }
                }
            }
        }
        let product = try session.collection(CollectionName.products, in: database)
            .findOneAndUpdate(
                filter, Update(pipeline: [newStock, newFlag]), projection: Document { $0.append("stock", 1) }, hint: "_id_", timeLimit: deadline.remaining)
        return try product?.view.int64("stock")
    }

    private func refusal(
        of adjustment: StockAdjustment, _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> Outcome {
        let options = FindOptions(projection: Document { $0.append("stock", 1) }, timeLimit: deadline.remaining)
        let stock = try session.collection(CollectionName.products, in: database)
            .findOne(Document { $0.append("_id", adjustment.productID) }, options) { row throws(MongoError) in try row.int64("stock") }
        return stock.map { .outOfRange(stock: $0) } ?? .notFound
    }
}
