import MongoDB

/// What a shop's database holds, read past all of its code: the other half of what the checker looks at.
package struct ShopContents: Sendable, Equatable {
    package struct Order: Sendable, Equatable {
        package var id: String
        package var identity: String
        package var key: String
        package var lines: [String: Int64]
        package var state: Int64
        package var settlement: Int64?
        package var isQueued: Bool
        package var isParked: Bool

        package init(
            id: String, identity: String, key: String, lines: [String: Int64], state: Int64, settlement: Int64?, isQueued: Bool, isParked: Bool
        ) {
            self.id = id
            self.identity = identity
            self.key = key
            self.lines = lines
            self.state = state
            self.settlement = settlement
            self.isQueued = isQueued
            self.isParked = isParked
        }
    }

    package struct Settlement: Sendable, Equatable {
        package var last: Int64
        package var epoch: Int64
        package var rows: [Row]

        package init(last: Int64, epoch: Int64, rows: [Row]) {
            self.last = last
            self.epoch = epoch
            self.rows = rows
        }
    }

    /// How an order ended.
    package struct Row: Sendable, Equatable {
        package var sequence: Int64
        package var order: String
        package var identity: String
        package var key: String
        package var state: Int64
        /// In hundredths, of fulfilled orders.
        package var total: Int64?
        package var prices: [Int64]

        package init(
            sequence: Int64, order: String, identity: String, key: String, state: Int64, total: Int64?, prices: [Int64]
        ) {
            self.sequence = sequence
            self.order = order
            self.identity = identity
            self.key = key
            self.state = state
            self.total = total
            self.prices = prices
        }
    }

    package var orders: [Order] = []
    /// By their numbers.
    package var settlements: [Settlement] = []
    package var stock: [String: Int64] = [:]
    /// The last number that was given out.
    package var sequence: Int64 = 0

    package var rows: [Row] { settlements.flatMap(\.rows) }

    package init() {}
}

extension ShopContents {
    /// Reads everything, as a majority has it.
    package init(in uri: String, database: String = "orderwire") throws {
        let pool = try ClientPool.passing(uri: uri, appName: "checker", size: 1, timeouts: .background)
        self = try pool.withClient { client throws(MongoError) in
            var contents = ShopContents()
            let options = FindOptions(sort: Document { $0.append("_id", 1) }, readConcern: .majority)
            var orders = try client.collection("orders", in: database).find(Document(), options)
            while let row = try orders.next() { contents.orders.append(try Order(row)) }
            var settlements = try client.collection("settlements", in: database).find(Document(), options)
            while let row = try settlements.next() { contents.settlements.append(try Settlement(row)) }
            var products = try client.collection("products", in: database).find(Document(), options)
            while let row = try products.next() { contents.stock[try row.string("_id")] = try row.int64("stock") }
            contents.sequence = try client.collection("leases", in: database)
                .findOne(Document(), options) { row throws(MongoError) in try row.int64("sequence") } ?? 0
            return contents
        }
    }

    /// How many orders wait to be decided.
    package static func queueLength(in uri: String, database: String = "orderwire") throws -> Int64 {
        let pool = try ClientPool.passing(uri: uri, appName: "checker", size: 1, timeouts: .background)
        return try pool.withClient { client throws(MongoError) in
            try client.collection("orders", in: database).count(Document { $0.append("queued", true) })
        }
    }
}

extension ShopContents.Order {
    fileprivate init(_ row: DocumentView) throws(MongoError) {
        var lines: [String: Int64] = [:]
        try row.array("lines").forEachDocument { line throws(MongoError) in
            lines[try line.string("product"), default: 0] += try line.int64("quantity")
        }
        self.init(
            id: try row.string("_id"), identity: try row.string("identity"), key: try row.string("key"), lines: lines,
            state: try row.int64("state"), settlement: row.find("settlement")?.int64, isQueued: row.find("queued")?.bool == true,
            isParked: row.contains("parked"))
    }
}

extension ShopContents.Settlement {
    fileprivate init(_ row: DocumentView) throws(MongoError) {
        var rows: [ShopContents.Row] = []
        try row.array("rows").forEachDocument { row throws(MongoError) in rows.append(try ShopContents.Row(row)) }
        self.init(last: try row.int64("_id"), epoch: try row.int64("epoch"), rows: rows)
    }
}

extension ShopContents.Row {
    fileprivate init(_ row: DocumentView) throws(MongoError) {
        var total: Int64?
        if let document = row.find("total")?.document { total = try document.int64("minor") }
        // A row tells its state by the fields that it has.
        let state: Int64 = total != nil ? 2 : row.contains("reason") ? 3 : 4
        self.init(
            sequence: try row.int64("sequence"), order: try row.string("order"), identity: try row.string("identity"),
            key: try row.string("key"), state: state, total: total,
            prices: total == nil ? [] : try row.array("prices").int64s())
    }
}
