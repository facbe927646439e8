import MongoDB
import RPC

/// A product that is ready to be stored. A reference, as products are sorted, filtered and passed on more often than they are read.
final class ImportedProduct: Sendable {
    let categoryKey: String
    let document: Document
    private let nameKey: String
    private let record: ProductRecord

    init(_ record: ProductRecord) {
        self.record = record
        categoryKey = record.categoryKey
        nameKey = record.nameKey
        document = record.document
    }

    /// The order in which the database is given products: neighbours in it are neighbours on the pages of half of its indexes.
    static func < (left: ImportedProduct, right: ImportedProduct) -> Bool {
        (left.categoryKey, left.nameKey) < (right.categoryKey, right.nameKey)
    }

    var id: String { record.id }
    var place: ProductPlace { record.place }

    /// What replaces the product in its `version`.
    func document(after version: Int64) -> Document {
        if record.version > version { return document }
        var record = record
        record.version = version + 1
        return record.document
    }
}

/// Stores imported products and the counts of their categories, in one transaction.
struct ProductImport: Sendable {
    let database: String
    let categories: CategoryStore

    /// What became of a batch.
    struct Outcome: Sendable, Equatable {
        var inserted = 0
        var replaced = 0
    }

    /// What is to be stored of some batches of products: a later product replaces an earlier one with the same id.
    func merge(_ batches: [[ImportedProduct]]) -> [ImportedProduct] {
        var last: [String: ImportedProduct] = [:]
        last.reserveCapacity(batches.reduce(0) { $0 + $1.count })
        for product in batches.joined() { last[product.id] = product }
        return last.values.sorted(by: <)
    }

    /// Stores products that were merged. They can still be lost: a majority has them after `Transactions.makeDurable`.
    ///
    /// - Returns: the ids of those that existed.
    func store(
        _ products: [ImportedProduct], in session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> Set<String> {
        try Transactions.run(on: session, to: .primary, before: deadline) { session throws(MongoError) in
            try store(products, session, before: deadline)
        }
    }

    /// What became of each of the batches, when `known` existed before.
    func outcomes(of batches: [[ImportedProduct]], known: Set<String>) -> [Outcome] {
        var known = known
        return batches.map { batch in
            let inserted = batch.count { known.insert($0.id).inserted }
            return Outcome(inserted: inserted, replaced: batch.count - inserted)
        }
    }

    /// - Returns: the ids of those that existed.
    private func store(
        _ products: [ImportedProduct], _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> Set<String> {
        let existing = try existing(products.map(\.id), session, before: deadline)
        var changes: [String: Int64] = [:]
        for product in products {
            changes[product.categoryKey, default: 0] += 1
            if let countedIn = existing[product.id]?.countedIn { changes[countedIn, default: 0] -= 1 }
        }
        // Counts first: another server's import that touches one of these categories stops here, before it has written much.
        try categories.change(by: changes, moves: Self.moves(of: products, over: existing), session, before: deadline)

        // In pieces, each far from the time that the database has for a command, on a busy machine too.
        for start in stride(from: 0, to: products.count, by: Limits.maxImportBatch) {
            try write(products[start..<min(start + Limits.maxImportBatch, products.count)], over: existing, session, before: deadline)
        }
        return Set(existing.keys)
    }

    /// What storing the products changes in the lists; nil where it is too much to be told, or not known.
    private static func moves(of products: [ImportedProduct], over existing: [String: Existing]) -> [ProductMove]? {
        guard products.count <= Limits.maxToldMoves else { return nil }
        var moves: [ProductMove] = []
        for product in products {
            let before = existing[product.id]
            if before != nil, before?.place == nil { return nil }
            moves.append(.init(from: before?.place, to: product.place))
        }
        return moves
    }

    /// A product that is there already.
    private struct Existing {
        /// The category whose count has it: that of the stored key, as `ProductChanges` sees it.
        var countedIn: String?
        var version: Int64
        /// Nil: not known, or not of interest.
        var place: ProductPlace?
    }

    private func write(
        _ products: ArraySlice<ImportedProduct>, over existing: [String: Existing],
        _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) {
        let collection = session.collection(CollectionName.products, in: database)
        let inserted = products.filter { existing[$0.id] == nil }
        try collection.insertMany(inserted.map(\.document), timeLimit: deadline.remaining).checked()
        guard inserted.count < products.count else { return }
        var replacements = try collection.bulkWrite(ordered: false)
        for product in products {
            guard let before = existing[product.id] else { continue }
            try replacements.replaceOne(Document { $0.append("_id", product.id) }, product.document(after: before.version))
        }
        try replacements.execute(timeLimit: deadline.remaining).checked()
    }

    /// Those of the products that exist, by id.
    private func existing(
        _ ids: [String], _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> [String: Existing] {
        let filter = Document { filter in filter.document("_id") { $0.append("$in", ids) } }
        let collection = session.collection(CollectionName.products, in: database)
        let isTold = ids.count <= Limits.maxToldMoves
        let projection = Document { projection in
            for field in ["category_key", "version"] + (isTold ? ["name_key", "price_key"] : []) as [FieldName] { projection.append(field, 1) }
        }
        var cursor = try collection.find(
            filter, FindOptions(projection: projection, limit: ids.count, hint: "_id_", timeLimit: deadline.remaining))
        var found: [String: Existing] = [:]
        while let row = try cursor.next() {
            found[try row.string("_id")] = Existing(
                countedIn: row.find("category_key")?.string, version: try row.int64("version"), place: isTold ? ProductPlace(stored: row) : nil)
        }
        return found
    }
}
