import MongoDB
import RPC

/// A settlement document: the rows of the completions `first...last`, in order. Its id is `last`, so that the first document
/// after a number is the one that goes on from it.
struct Settlement: Sendable, Equatable {
    var last: Int64
    var rows: [CompletionRecord]
}

/// The collection `settlements`: ledger, completion log and catch-up source at once.
struct SettlementStore: Sendable {
    let database: String
    let seenBeginning = SeenBeginning()

    static let indexes = [
        // One entry a document and identity, for those who follow their own orders only.
        Index("by_identity", keys: Document { $0.append("rows.identity", 1); $0.append("_id", 1) })
    ]

    /// Adds a settlement, in the session's transaction. Returns the server, as `WriteResult` names it.
    func insert(
        _ settlement: Settlement, epoch: Int64, finalAt: BSONDate, _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> UInt32 {
        let document = Document(reserving: 256 + settlement.rows.count * 320) { document in
            document.append("_id", settlement.last)
            document.append("epoch", epoch)
            document.append("final", finalAt)
            document.array("rows") { array in
                for row in settlement.rows { array.document { row.write(to: &$0) } }
            }
        }
        var bulk = try session.collection(CollectionName.settlements, in: database).bulkWrite()
        try bulk.insert(document)
        return try bulk.execute(timeLimit: deadline.remaining).checked().server
    }

    /// The next settlements with completions after `sequence`, at most `count` documents.
    ///
    /// - Parameters:
    ///   - end: none after this one: `lastSequence` for all that is told to somebody.
    ///   - identity: rows of this identity only (nil: all). Others' rows do not leave the database then.
    func settlements(
        after sequence: Int64, through end: Int64, of identity: String?, count: Int, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [Settlement] {
        let filter = Document { filter in
            if let identity { filter.append("rows.identity", identity) }
            filter.document("_id") { $0.append("$gt", sequence); $0.append("$lte", end) }
        }
        let options = FindOptions(
            sort: Document { $0.append("_id", 1) }, projection: identity.map(Self.rows(of:)), limit: count,
            hint: identity == nil ? "_id_" : "by_identity", readConcern: .majority, timeLimit: deadline.remaining)
        var cursor = try client.collection(CollectionName.settlements, in: database).find(filter, options)
        var settlements: [Settlement] = []
        while let row = try cursor.next() {
            let settlement = try Settlement(row)
            settlements.append(
                Settlement(last: settlement.last, rows: Array(settlement.rows.drop { $0.sequence <= sequence })))
        }
        return settlements
    }

    private static func rows(of identity: String) -> Document {
        Document { projection in
            projection.append("final", 1)
            projection.document("rows") { rows in
                rows.document("$filter") { filter in
                    filter.append("input", "$rows")
                    filter.document("cond") { condition in
                        condition.array("$eq") {
                            $0.append("$$this.identity")
                            $0.document { $0.append("$literal", identity) }
                        }
                    }
                }
            }
        }
    }

    /// The results of decided orders, by order id.
    func results(
        of orders: [OrderRecord], _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [String: CompletionRecord] {
        var wanted: [Int64: [String]] = [:]
        for order in orders {
            if let settlement = order.settlement { wanted[settlement, default: []].append(order.id) }
        }
        guard !wanted.isEmpty else { return [:] }
        let collection = client.collection(CollectionName.settlements, in: database)
        var cursor = try collection.aggregate(
            Self.rows(of: wanted), readConcern: .majority, timeLimit: deadline.remaining)
        var results: [String: CompletionRecord] = [:]
        while let row = try cursor.next() {
            for result in try Settlement(row).rows { results[result.orderID] = result }
        }
        return results
    }

    /// Of each settlement only the rows of the orders that are asked for: each row is compared with the orders of its own settlement.
    private static func rows(of wanted: [Int64: [String]]) -> [Document] {
        let settlements = wanted.keys.sorted()
        let match = Document { stage in
            stage.document("$match") { $0.document("_id") { $0.append("$in", settlements) } }
        }
        let project = Document { stage in
            stage.document("$project") { projection in
                projection.append("final", 1)
                projection.document("rows") { rows in
                    rows.document("$let") { scope in
                        scope.document("vars") { $0.document("wanted") { Self.appendOrders(of: wanted, settlements, to: &$0) } }
                        scope.document("in") { rows in
                            rows.document("$filter") { filter in
                                filter.append("input", "$rows")
                                filter.document("cond") { condition in
                                    condition.array("$in") {
                                        $0.append("$$this.order")
                                        $0.append("$$wanted")
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        return [match, project]
    }

    /// Appends an expression: the orders that are asked for of the settlement at hand.
    private static func appendOrders(
        of wanted: [Int64: [String]], _ settlements: [Int64], to expression: inout DocumentBuilder
    ) {
        expression.array("$arrayElemAt") { element in
            element.document { lists in
                lists.array("$literal") { lists in
                    for settlement in settlements {
                        lists.array { list in
                            for order in wanted[settlement] ?? [] { list.append(order) }
                        }
                    }
                }
            }
            element.document { place in
                place.array("$indexOfArray") { search in
                    search.document { $0.append("$literal", settlements) }
                    search.append("$_id")
                }
            }
        }
    }
}

extension Settlement {
    init(_ row: DocumentView) throws(MongoError) {
        last = try row.int64("_id")
        let finalAt = try row.date("final")
        var rows: [CompletionRecord] = []
        try row.array("rows").forEachDocument { row throws(MongoError) in
            rows.append(try CompletionRecord(row, finalAt: finalAt))
        }
        self.rows = rows
    }
}
