import Logging
import MongoDB
import RPC

/// What has to be in the database before the shop can open: collections, indexes, and the key of page tokens.
struct ShopSchema: Sendable {
    let database: String

    /// Bounds the building of an index over a large collection.
    static let patience = Duration.seconds(280)

    /// All indexes, by collection. A snapshot of categories cannot be read while its collections are only just being created, so
    /// these have theirs of `_id` named, which creates the collections.
    static let indexes: [(collection: String, indexes: [Index])] = [
        (CollectionName.products, ProductStore.indexes), (CollectionName.categories, [.ofID]), (CollectionName.catalog, [.ofID]),
        (CollectionName.stockAdjustments, StockAdjustmentStore.indexes),
        (CollectionName.orders, OrderStore.indexes), (CollectionName.settlements, SettlementStore.indexes),
        (CollectionName.progress, [.ofID]),
    ]

    /// Creates the indexes and the mark of what is settled, and tries those by which products are listed. Where they exist, that costs a few milliseconds.
    ///
    /// An index that has the name of one of these and another form was left by another version of the shop. It serves no query
    /// any more, so it is replaced; `logger` is told.
    func create(_ client: borrowing Client, logger: Logger) throws(MongoError) {
        try client.collection(CollectionName.products, in: database).create(maxPageBytes: Limits.maxPageBytes, timeLimit: Self.patience)
        for (name, indexes) in Self.indexes {
            let collection = client.collection(name, in: database)
            do throws(MongoError) {
                try collection.createIndexes(indexes, timeLimit: Self.patience)
            } catch {
                guard error.isIndexConflict else { throw error }
                try replace(indexes, of: collection, logger)
            }
        }
        try ProgressStore(database: database).create(client, before: .after(Self.patience))
        for shape in QueryShape.table {
            do throws(MongoError) {
                try ProductStore(database: database).tryIndex(of: shape, client, timeLimit: Self.patience)
            } catch {
                guard error.isAboutMissingIndex else { throw error }
                throw MongoError(.invalidState, "the index '\(shape.indexName)' of '\(CollectionName.products)' exists, but is hidden")
            }
        }
    }

    private func replace(_ indexes: [Index], of collection: borrowing Collection, _ logger: Logger) throws(MongoError) {
        for index in indexes {
            do throws(MongoError) {
                try collection.createIndexes([index], timeLimit: Self.patience)
            } catch {
                guard error.isIndexConflict else { throw error }
                logger.notice("Replacing an index of another form", metadata: ["db.collection.name": "\(collection.name)", "index": "\(index.name)"])
                try collection.dropIndex(index.name, timeLimit: Self.patience)
                try collection.createIndexes([index], timeLimit: Self.patience)
            }
        }
    }

    /// The key that authenticates page tokens: made by the first server, the same for all and for ever.
    func pageTokenKey(_ client: borrowing Client) throws(MongoError) -> [UInt8] {
        let key = (0..<TokenSeal.keyLength).map { _ in UInt8.random(in: 0...255) }
        let update = Update { update in update.document("$setOnInsert") { $0.append("key", key) } }
        let collection = client.collection(CollectionName.secrets, in: database)
        let filter = Document { $0.append("_id", "page_tokens") }
        let document = try collection.findOneAndUpdate(filter, update, upsert: true)
        guard let stored = try document?.view.binary("key"), stored.count == TokenSeal.keyLength else {
            throw MongoError(.malformedDocument, "the key of page tokens in '\(CollectionName.secrets)' has not \(TokenSeal.keyLength) bytes")
        }
        return stored
    }
}

extension Index {
    /// Every collection has it.
    fileprivate static let ofID = Index("_id_", keys: Document { $0.append("_id", 1) })
}

extension MongoError {
    /// An index of this name exists in another form (IndexOptionsConflict, IndexKeySpecsConflict).
    fileprivate var isIndexConflict: Bool { kind == .server && [85, 86].contains(code) }
}
