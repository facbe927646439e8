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
            guard let old = try product(update.id, session, before: deadline) else { return .notFound }
            var new = update.applied(to: old)
            if new == old { return .done(old) }
            guard old.version == update.expectedVersion else { return .versionMismatch(current: old.version) }
            new.updatedAt = .now()
            new.version = ProductRecord.nextVersion(after: old.version)
            // Counts first, as an import does it: what collides, collides before much is written.
            try categories.change(by: Self.move(from: old, to: new), session, before: deadline)
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
            guard let old = try product(id, session, before: deadline) else { return .notFound }
            if let expectedVersion, old.version != expectedVersion { return .versionMismatch(current: old.version) }
            try categories.change(by: [old.categoryKey: -1], session, before: deadline)
            try session.collection(CollectionName.products, in: database)
                .deleteOne(Document { $0.append("_id", id) }, timeLimit: deadline.remaining)
            return .done(old)
        }
    }

    private func product(
        _ id: String, _ session: borrowing Session, before deadline: Deadline
    ) throws(MongoError) -> ProductRecord? {
        try session.collection(CollectionName.products, in: database)
            .findOne(Document { $0.append("_id", id) }, FindOptions(timeLimit: deadline.remaining)) { row throws(MongoError) in
                try ProductRecord(row)
            }
    }

    private static func move(from old: ProductRecord, to new: ProductRecord) -> [String: Int64] {
        let (from, to) = (old.categoryKey, new.categoryKey)
        return from == to ? [from: 0] : [from: -1, to: 1]
    }
}
