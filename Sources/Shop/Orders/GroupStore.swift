import MongoDB
import ProtoShop
import RPC

/// A durable group of subscribers: a name of one identity, what it gets, and how far it has come.
struct SubscriptionGroup: Sendable, Hashable {
    /// Whose group it is.
    var identity: String
    var name: String
    var filter: Orders.CompletionFilter

    /// The document's id. Names of identities and groups hold no slash.
    var id: String { "\(identity)/\(name)" }

    /// Whose completions it gets; nil: everybody's.
    var submitter: String? { filter == .all ? nil : identity }
}

/// The collection `groups`.
struct GroupStore: Sendable {
    let database: String

    /// Makes `member` the only member of a group, which begins at `start` where it is new.
    ///
    /// - Returns: the low mark; nil where the group exists with another filter.
    func join(
        _ group: SubscriptionGroup, member: String, start: Int64, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Int64? {
        let now = BSONDate.now()
        let filter = Document { filter in
            filter.append("_id", group.id)
            filter.append("filter", group.filter.rawValue)
        }
        let update = Update { update in
            update.document("$setOnInsert") {
                $0.append("identity", group.identity)
                $0.append("name", group.name)
                $0.append("low", start)
                $0.append("created", now)
            }
            update.document("$set") {
                $0.append("member", member)
                $0.append("joined", now)
            }
        }
        do throws(MongoError) {
            let document = try client.collection(CollectionName.groups, in: database)
                .findOneAndUpdate(filter, update, upsert: true, timeLimit: deadline.remaining)
            return try document?.view.int64("low")
        } catch {
            // The id exists, but the whole filter did not match it.
            guard error.kind == .duplicateKey else { throw error }
            return nil
        }
    }

    /// Moves the low mark of a group forward. False where `member` is not its member any more.
    func advance(
        _ group: SubscriptionGroup, member: String, to low: Int64, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Bool {
        let filter = Document { filter in
            filter.append("_id", group.id)
            filter.append("member", member)
        }
        let update = Update { update in update.document("$max") { $0.append("low", low) } }
        return try client.collection(CollectionName.groups, in: database)
            .updateOne(filter, update, timeLimit: deadline.remaining).matchedCount == 1
    }

    /// The present members of groups, by group id: to learn which joined at another server.
    func members(of ids: [String], _ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> [String: String] {
        let filter = Document { filter in filter.document("_id") { $0.append("$in", ids) } }
        let options = FindOptions(
            projection: Document { $0.append("member", 1) }, limit: ids.count, timeLimit: deadline.remaining)
        let collection = client.collection(CollectionName.groups, in: database)
        var cursor = try collection.find(filter, options)
        var members: [String: String] = [:]
        while let row = try cursor.next() { members[try row.string("_id")] = try row.string("member") }
        return members
    }
}
