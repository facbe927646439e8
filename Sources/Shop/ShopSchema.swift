import MongoDB
import RPC

/// What has to be in the database before the shop can open: indexes, and the key of page tokens.
struct ShopSchema: Sendable {
    let database: String

    /// Bounds the building of an index over a large collection.
    private static let patience = Duration.seconds(280)

    /// Creates the indexes. Where they exist, each costs about a millisecond.
    func create(_ client: borrowing Client) throws(MongoError) {
        try client.collection(CollectionName.products, in: database)
            .createIndexes(ProductStore.indexes, timeLimit: Self.patience)
        try client.collection(CollectionName.orders, in: database)
            .createIndexes(OrderStore.indexes, timeLimit: Self.patience)
        try client.collection(CollectionName.settlements, in: database)
            .createIndexes(SettlementStore.indexes, timeLimit: Self.patience)
    }

    /// The key that authenticates page tokens: made by the first server, the same for all and for ever.
    func pageTokenKey(_ client: borrowing Client) throws(MongoError) -> [UInt8] {
        let key = (0..<PageTokens.keyLength).map { _ in UInt8.random(in: 0...255) }
        let update = Update { update in update.document("$setOnInsert") { $0.append("key", key) } }
        let collection = client.collection(CollectionName.secrets, in: database)
        let filter = Document { $0.append("_id", "page_tokens") }
        let document = try collection.findOneAndUpdate(filter, update, upsert: true)
        guard let stored = try document?.view.binary("key"), stored.count == PageTokens.keyLength else {
            throw MongoError(.malformedDocument, "the key of page tokens in '\(CollectionName.secrets)' has not \(PageTokens.keyLength) bytes")
        }
        return stored
    }
}
