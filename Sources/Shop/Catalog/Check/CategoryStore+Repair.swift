import MongoDB
import RPC

extension CategoryStore {
    /// Keeps everybody else from changing any count until the session's transaction ends.
    func lock(_ session: borrowing Session, before deadline: Deadline) throws(MongoError) {
        try change(by: [:], session, before: deadline)
    }

    /// Stores a count, or removes the category where it is 0, in the session's transaction.
    func set(_ key: String, to count: Int64, _ session: borrowing Session, before deadline: Deadline) throws(MongoError) {
        let collection = session.collection(CollectionName.categories, in: database)
        let filter = Document { $0.append("_id", key) }
        if count > 0 {
            let update = Update { update in
                update.document("$set") { set in
                    set.append("count", count)
                    set.append("stamp", CatalogStamp.random().value)
                }
            }
            try collection.updateOne(filter, update, upsert: true, timeLimit: deadline.remaining)
        } else {
            try collection.deleteOne(filter, timeLimit: deadline.remaining)
        }
    }
}
