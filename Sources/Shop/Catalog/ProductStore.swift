import MongoDB
import RPC

/// The collection `products`: every query names its index.
struct ProductStore: Sendable {
    let database: String

    static let indexes = QueryShape.table.map(\.index)

    /// The product with this id, as the only row; no row if there is none.
    func product(_ id: String, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Batch {
        try read(Document { $0.append("_id", id) }, FindOptions(limit: 1, hint: "_id_", timeLimit: deadline.remaining), client)
    }

    /// The products with these ids, in no order. Those that do not exist are left out.
    func products(_ ids: [String], _ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Batch {
        let filter = Document { filter in filter.document("_id") { $0.append("$in", ids) } }
        return try read(filter, FindOptions(limit: ids.count, hint: "_id_", timeLimit: deadline.remaining), client)
    }

    /// A list, and the keys of the categories that its filter matches (nil: no filter).
    struct Query: Sendable {
        var list: ProductList
        var categoryKeys: [String]?
    }

    /// Products as the database returned them.
    struct Rows: Sendable {
        /// Nil where there was nothing to ask for.
        var batch: Batch?
        /// The sort key of the last one, if the stretch was read to its end.
        var lastKey: String?

        var count: Int { batch?.count ?? 0 }
    }

    /// The products of stretches, of each in the order of its list whichever way it was read.
    ///
    /// Several are read by one command, for less than each costs by itself. Only the first can be given an index by name there, so they
    /// are of one shape, and of one that no other index serves: `isReadTogether`.
    func rows(
        _ parts: [(query: Query, stretch: PageStretch)], _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [Rows] {
        let asked = parts.filter { $0.stretch.count > 0 }
        var batches: ArraySlice<Batch> = if asked.count > 1 {
            try readTogether(asked, client, before: deadline)[...]
        } else {
            try asked.map { (part) throws(MongoError) in try read(part.query, part.stretch, client, before: deadline) }[...]
        }
        return try parts.map { (query, stretch) throws(MongoError) in
            guard stretch.count > 0, var batch = batches.popFirst() else { return Rows() }
            let isWhole = batch.count == Int(stretch.count)
            if stretch.isBackwards { batch.reverse() }
            let isRead = stretch.isBackwards ? batch.count > 0 : isWhole
            let key = query.list.shape.key.field
            return Rows(batch: batch, lastKey: isRead ? try batch[batch.count - 1].string(key) : nil)
        }
    }

    private func read(
        _ query: Query, _ stretch: PageStretch, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Batch {
        let options = FindOptions(
            sort: sort(query, stretch), skip: Int(stretch.skip), limit: Int(stretch.count), hint: query.list.shape.indexName,
            timeLimit: deadline.remaining)
        return try read(filter(query, stretch), options, client)
    }

    private func readTogether(
        _ parts: [(query: Query, stretch: PageStretch)], _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [Batch] {
        let shape = parts[0].query.list.shape
        precondition(shape.isReadTogether && parts.allSatisfy { $0.query.list.shape == shape }, "these need an index each")
        var pipeline = stages(of: parts[0], number: 0)
        for (number, part) in parts.enumerated().dropFirst() {
            pipeline.append(Document { stage in
                stage.document("$unionWith") { union in
                    union.append("coll", CollectionName.products)
                    union.append("pipeline", stages(of: part, number: number))
                }
            })
        }
        let limit = parts.reduce(0) { $0 + Int($1.stretch.count) }
        return try client.collection(CollectionName.products, in: database)
            .aggregateBatch(pipeline, limit: limit, hint: shape.indexName, timeLimit: deadline.remaining)
            .parts(parts.count, by: Self.part)
    }

    /// A find as stages, which writes the part's number behind the fields of each row.
    private func stages(of part: (query: Query, stretch: PageStretch), number: Int) -> [Document] {
        var stages = [
            Document { $0.append("$match", filter(part.query, part.stretch)) },
            Document { $0.append("$sort", sort(part.query, part.stretch)) },
        ]
        if part.stretch.skip > 0 { stages.append(Document { $0.append("$skip", part.stretch.skip) }) }
        stages.append(Document { $0.append("$limit", part.stretch.count) })
        stages.append(Document { stage in stage.document("$set") { $0.append(Self.part, Int32(number)) } })
        return stages
    }

    private static let part: FieldName = "part"

    private func sort(_ query: Query, _ stretch: PageStretch) -> Document {
        query.list.shape.sort(isDescending: query.list.order.isDescending != stretch.isBackwards)
    }

    /// The sort key of the product at which a stretch begins, as a majority has it, read from the index alone; nil where there is none.
    func key(
        _ query: Query, _ stretch: PageStretch, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> String? {
        let shape = query.list.shape
        let keyOnly = Document { $0.append("_id", 0); $0.append(shape.key.field, 1) }
        let options = FindOptions(
            sort: sort(query, stretch), projection: keyOnly, skip: Int(stretch.skip), limit: 1, hint: shape.indexName,
            readConcern: .majority, timeLimit: deadline.remaining)
        let batch = try read(filter(query, stretch), options, client)
        return batch.count > 0 ? try batch[0].string(shape.key.field) : nil
    }

    /// How many products the list has, as a majority has it, counted on the index alone.
    func count(_ query: Query, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Int64 {
        try client.collection(CollectionName.products, in: database)
            .count(filter(query, PageStretch(first: 0, size: 1, total: nil)), hint: query.list.shape.indexName, readConcern: .majority,
                timeLimit: deadline.remaining)
    }

    /// Asks for one key by the shape's index: an error where it is missing or hidden.
    func tryIndex(of shape: QueryShape, _ client: borrowing Client, timeLimit: Duration) throws(MongoError) {
        let filter = Document { shape.filter(categoryKeys: shape.hasCategory ? [""] : nil, &$0) }
        let options = FindOptions(sort: shape.sort(isDescending: false), limit: 1, hint: shape.indexName, timeLimit: timeLimit)
        _ = try read(filter, options, client)
    }

    private func read(_ filter: Document, _ options: FindOptions, _ client: borrowing Client) throws(MongoError) -> Batch {
        try client.collection(CollectionName.products, in: database).findBatch(filter, options)
    }

    /// What is equal for all products of the list, and one range of sort keys: the list's own, cut off at the stretch's anchor.
    private func filter(_ query: Query, _ stretch: PageStretch) -> Document {
        let list = query.list
        return Document { document in
            list.shape.filter(categoryKeys: query.categoryKeys, &document)
            guard stretch.anchor != nil || list.range != .all else { return }
            document.document(list.shape.key.field) { range in
                // An anchor lies in the list's range, so it takes the place of the edge that it is nearer to.
                let cutsOffLower = list.order.isDescending == stretch.isBackwards
                switch (stretch.anchor, cutsOffLower) {
                case (let anchor?, true):
                    range.append(stretch.isBackwards ? "$gte" : "$gt", anchor)
                    if let upper = list.range.upper { range.append("$lt", upper) }
                case (let anchor?, false):
                    if let lower = list.range.lower { range.append("$gte", lower) }
                    range.append(stretch.isBackwards ? "$lte" : "$lt", anchor)
                case (nil, _):
                    if let lower = list.range.lower { range.append("$gte", lower) }
                    if let upper = list.range.upper { range.append("$lt", upper) }
                }
            }
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
            updatedAt: try row.date("updated"), version: try row.int64("version"))
    }

    var document: Document {
        Document(reserving: 400 + name.utf8.count * 2 + description.utf8.count) { document in
            document.append("_id", id)
            writeAllButStock(to: &document)
            document.append("stock", stock)
            document.append("in_stock", stock > 0)
        }
    }

    /// All fields but the id, which never changes, and the stock, which orders change meanwhile.
    func writeAllButStock(to document: inout DocumentBuilder) {
        document.append("name", name)
        document.append("name_key", nameKey)
        document.append("category", category)
        document.append("category_key", categoryKey)
        document.document("price") { price.write(to: &$0) }
        document.append("price_key", priceKey)
        document.append("description", description)
        document.append("updated", updatedAt)
        document.append("version", version)
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
