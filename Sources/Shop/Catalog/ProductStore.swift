import MongoDB
import RPC

/// The collection `products`.
struct ProductStore: Sendable {
    let database: String

    /// The products with their folded keys, by the four orders with and without a category. All keys are unique but the
    /// price, which `_id` follows. A descending order reads the same index backwards.
    static let indexes = [
        Index(Self.byName, keys: Document { $0.append("name_key", 1) }),
        Index(Self.byCategoryAndName, keys: Document { $0.append("category_key", 1); $0.append("name_key", 1) }),
        Index(Self.byPrice, keys: Document { $0.append("price.minor", 1); $0.append("_id", 1) }),
        Index(
            Self.byCategoryAndPrice,
            keys: Document { $0.append("category_key", 1); $0.append("price.minor", 1); $0.append("_id", 1) }),
    ]

    private static let byName = "by_name"
    private static let byCategoryAndName = "by_category_and_name"
    private static let byPrice = "by_price"
    private static let byCategoryAndPrice = "by_category_and_price"

    func product(_ id: String, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> ProductRecord? {
        try client.collection(CollectionName.products, in: database)
            .findOne(Document { $0.append("_id", id) }, FindOptions(timeLimit: deadline.remaining)) { row throws(MongoError) in
                try ProductRecord(row)
            }
    }

    /// The products with these ids, by id. Those that do not exist are left out.
    func products(
        _ ids: [String], _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [String: ProductRecord] {
        let filter = Document { filter in filter.document("_id") { $0.append("$in", ids) } }
        let records = try read(filter, FindOptions(limit: ids.count, hint: "_id_", timeLimit: deadline.remaining), client)
        return Dictionary(records.map { ($0.id, $0) }) { first, _ in first }
    }

    /// Products of some categories (nil: of all), in an order.
    struct Query {
        var categoryKeys: [String]?
        var order: ProductOrder
    }

    /// A stretch of the products, counted from either end; returned in the query's order all the same.
    func products(
        _ query: Query, window: PageWindow, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [ProductRecord] {
        guard window.count > 0 else { return [] }
        let isDescending = query.order.isDescending != window.fromEnd
        let options = FindOptions(
            sort: sort(query.order.key, isDescending), skip: Int(window.skip), limit: Int(window.count), hint: index(for: query),
            timeLimit: deadline.remaining)
        let records = try read(Document { document in filter(query, &document) }, options, client)
        return window.fromEnd ? records.reversed() : records
    }

    /// At most `count` products after a position.
    func products(
        _ query: Query, after position: PagePosition, count: Int, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [ProductRecord] {
        let isDescending = query.order.isDescending
        let condition = Document { document in
            filter(query, &document)
            switch position {
            case .name(let sortKey):
                document.document("name_key") { $0.append(isDescending ? "$lt" : "$gt", sortKey) }
            case .price(let minor, let id):
                // A range, less the ties already seen: it keeps the sorted merge of the categories' index scans, where the
                // usual `$or` of two ranges would examine several times as many keys, or sort in memory.
                document.document("price.minor") { $0.append(isDescending ? "$lte" : "$gte", minor) }
                document.array("$nor") { array in
                    array.document { tie in
                        tie.append("price.minor", minor)
                        tie.document("_id") { $0.append(isDescending ? "$gte" : "$lte", id) }
                    }
                }
            }
        }
        let options = FindOptions(
            sort: sort(query.order.key, isDescending), limit: count, hint: index(for: query), timeLimit: deadline.remaining)
        return try read(condition, options, client)
    }

    private func read(
        _ filter: Document, _ options: FindOptions, _ client: borrowing Client
    ) throws(MongoError) -> [ProductRecord] {
        let collection = client.collection(CollectionName.products, in: database)
        var cursor = try collection.find(filter, options)
        var records: [ProductRecord] = []
        while let row = try cursor.next() { records.append(try ProductRecord(row)) }
        return records
    }

    private func filter(_ query: Query, _ document: inout DocumentBuilder) {
        guard let keys = query.categoryKeys else { return }
        if keys.count == 1 {
            document.append("category_key", keys[0])
        } else {
            document.document("category_key") { $0.append("$in", keys) }
        }
    }

    private func sort(_ key: ProductOrder.Key, _ isDescending: Bool) -> Document {
        let direction = isDescending ? -1 : 1
        return Document { document in
            switch key {
            case .name:
                document.append("name_key", direction)
            case .price:
                document.append("price.minor", direction)
                document.append("_id", direction)
            }
        }
    }

    private func index(for query: Query) -> String {
        switch (query.order.key, query.categoryKeys == nil) {
        case (.name, true): Self.byName
        case (.name, false): Self.byCategoryAndName
        case (.price, true): Self.byPrice
        case (.price, false): Self.byCategoryAndPrice
        }
    }
}

// MARK: - As a document

extension ProductRecord {
    init(_ row: DocumentView) throws(MongoError) {
        let price = try row.document("price")
        self.init(
            id: try row.string("_id"), name: try row.string("name"), category: try row.string("category"),
            price: try MinorAmount(price), stock: try row.int64("stock"), description: try row.string("description"),
            updatedAt: try row.date("updated"))
    }

    var document: Document {
        Document(reserving: 256 + name.utf8.count * 2 + description.utf8.count) { document in
            document.append("_id", id)
            document.append("name", name)
            document.append("name_key", sortKey)
            document.append("category", category)
            document.append("category_key", categoryKey)
            document.document("price") { price.write(to: &$0) }
            document.append("stock", stock)
            document.append("description", description)
            document.append("updated", updatedAt)
        }
    }

    /// Where the page that ends with this product ends.
    func position(in order: ProductOrder) -> PagePosition {
        switch order.key {
        case .name: .name(sortKey: sortKey)
        case .price: .price(minor: price.minor, id: id)
        }
    }
}

extension MinorAmount {
    init(_ view: DocumentView) throws(MongoError) {
        self.init(currency: try view.string("currency"), minor: try view.int64("minor"))
    }

    func write(to document: inout DocumentBuilder) {
        document.append("currency", currency)
        document.append("minor", minor)
    }
}
