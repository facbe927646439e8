import MongoDB
import RPC

/// Updates and deletions of single products: each is one transaction together with the counts of the categories.
struct ProductChanges: Sendable {
    let database: String
    let categories: CategoryStore

    enum Outcome: Sendable, Equatable {
        /// An update: the product as it is now. A deletion: as it was.
        case done(ProductRecord)
        case notFound
        /// Somebody else changed it. Nothing was done.
        case versionMismatch(current: Int64)
    }

    /// Changes fields of a product, and never its stock, which orders move meanwhile.
    ///
    /// A product that has all the wanted values is left alone and is as good as changed, whatever its version: so a caller that
    /// lost the answer hears of its success when it asks again.
    func update(_ update: ProductUpdate, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Outcome {
        let session = try client.startSession()
        return try Transactions.run(on: session, before: deadline, backoff: Backoff(longest: Backoff.longestOfSmall)) { session throws(MongoError) in
            guard let (old, countedIn, place) = try product(update.id, session, before: deadline) else { return .notFound }
            var new = update.applied(to: old)
            if new == old { return .done(old) }
            guard old.version == update.expectedVersion else { return .versionMismatch(current: old.version) }
            new.updatedAt = .now()
            new.version = ProductRecord.nextVersion(after: old.version)
            // Counts first, as an import does it: what collides, collides before much is written.
            let moves = place.map { [ProductMove(from: $0, to: new.place)] }
            try categories.change(by: Self.move(from: countedIn, to: new.categoryKey), moves: moves, session, before: deadline)
            let details = Update { update in update.document("$set") { new.writeAllButStock(to: &$0) } }
            try session.collection(CollectionName.products, in: database)
                .updateOne(Document { $0.append("_id", new.id) }, details, hint: "_id_", timeLimit: deadline.remaining)
            return .done(new)
        }
    }

    /// Deletes a product.
    ///
    /// - Parameter expectedVersion: nil: whatever it is.
    func delete(
        _ id: String, expectedVersion: Int64?, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Outcome {
        let session = try client.startSession()
        return try Transactions.run(on: session, before: deadline, backoff: Backoff(longest: Backoff.longestOfSmall)) { session throws(MongoError) in
            guard let (old, countedIn, place) = try product(id, session, before: deadline) else { return .notFound }
            if let expectedVersion, old.version != expectedVersion { return .versionMismatch(current: old.version) }
            let moves = place.map { [ProductMove(from: $0)] }
            try categories.change(by: Self.move(from: countedIn, to: nil), moves: moves, session, before: deadline)
            try session.collection(CollectionName.products, in: database)
                .deleteOne(Document { $0.append("_id", id) }, timeLimit: deadline.remaining)
            return .done(old)
        }
    }

    /// A product, and the category in whose count it is: that of its stored key, also where somebody has damaged that. A product
    /// without such a key is in no count. And its place in the lists, if it has all keys.
    private func product(
        _ id: String, _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> (ProductRecord, countedIn: String?, place: ProductPlace?)? {
        try session.collection(CollectionName.products, in: database)
            .findOne(Document { $0.append("_id", id) }, FindOptions(timeLimit: deadline.remaining)) { row throws(MongoError) in
                (try ProductRecord(row), row.find("category_key")?.string, ProductPlace(stored: row))
            }
    }

    /// What a product's move between categories, or out of all, does to their counts.
    private static func move(from old: String?, to new: String?) -> [String: Int64] {
        var changes: [String: Int64] = [:]
        if let old { changes[old, default: 0] -= 1 }
        if let new { changes[new, default: 0] += 1 }
        return changes
    }
}
