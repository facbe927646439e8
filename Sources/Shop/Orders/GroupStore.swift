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
///
/// A group with members is at one server, which holds it in a *term* of its own: a lease that it renews, on the database's clock
/// (`$$NOW`). A term that is over can change nothing any more.
struct GroupStore: Sendable {
    let database: String

    /// What is stored of a group.
    struct Stored: Sendable {
        var filter: Orders.CompletionFilter
        var low: Int64
    }

    /// A group that is held, or by whom it is.
    enum Hold: Sendable {
        case held(low: Int64)
        case elsewhere(server: String)
        /// It exists with another filter.
        case otherFilter
    }

    func find(_ group: SubscriptionGroup, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Stored? {
        try client.collection(CollectionName.groups, in: database).findOne(
            Document { $0.append("_id", group.id) }, FindOptions(readConcern: .majority, timeLimit: deadline.remaining)
        ) { row throws(MongoError) in
            Stored(filter: Orders.CompletionFilter(rawValue: try row.int32("filter")), low: try row.int64("low"))
        }
    }

    /// Takes a group in a new term; one that does not exist begins at `start`. It is free where nobody holds it, where its holder has
    /// not renewed it in time, and for a server that has the holder's name, which is the same one after a restart.
    func hold(
        _ group: SubscriptionGroup, term: String, server: String, start: Int64, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Hold {
        // One step, so that of two servers one gets it. A pipeline, because only there $$NOW is known; what is asked of the
        // document before is asked in the first stage.
        let look = Document { stage in
            stage.document("$set") { set in
                set.document("free") { Self.appendFree(to: &$0, group, server) }
            }
        }
        let take = Document { stage in
            stage.document("$set") { set in
                Self.append(group, start: start, to: &set)
                set.document("term") { Self.appendIfFree(to: &$0, term, else: "$term") }
                set.document("server") { Self.appendIfFree(to: &$0, server, else: "$server") }
                set.document("seen") { seen in
                    seen.array("$cond") {
                        $0.append("$free")
                        $0.append("$$NOW")
                        $0.append("$seen")
                    }
                }
            }
        }
        let update = Update(pipeline: [look, take, Document { $0.append("$unset", "free") }])
        let document = try client.collection(CollectionName.groups, in: database)
            .findOneAndUpdate(Document { $0.append("_id", group.id) }, update, upsert: true, timeLimit: deadline.remaining)
        guard let row = document?.view else { throw MongoError(.malformedDocument, "an upsert returned no group") }
        guard try row.int32("filter") == group.filter.rawValue else { return .otherFilter }
        guard try row.string("term") == term else { return .elsewhere(server: try row.string("server")) }
        return .held(low: try row.int64("low"))
    }

    /// Renews terms, by group id. Returns the groups of those that are over.
    func renew(_ terms: [String: String], _ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> [String] {
        let filter = Document { filter in
            filter.document("_id") { $0.append("$in", Array(terms.keys)) }
            filter.document("term") { $0.append("$in", Array(terms.values)) }
        }
        let update = Update(pipeline: [Document { stage in stage.document("$set") { $0.append("seen", "$$NOW") } }])
        let collection = client.collection(CollectionName.groups, in: database)
        if try collection.updateMany(filter, update, hint: "_id_", timeLimit: deadline.remaining).matchedCount == terms.count { return [] }
        let options = FindOptions(
            projection: Document { $0.append("term", 1) }, limit: terms.count, timeLimit: deadline.remaining)
        var lost = terms
        var cursor = try collection.find(filter, options)
        while let row = try cursor.next() {
            let id = try row.string("_id")
            if try row.string("term") == terms[id] { lost[id] = nil }
        }
        return Array(lost.keys)
    }

    /// Moves the low mark of a group forward. False where the term is over.
    func advance(
        _ group: SubscriptionGroup, term: String, to low: Int64, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Bool {
        let update = Update { update in update.document("$max") { $0.append("low", low) } }
        return try change(group, term, update, client, before: deadline)
    }

    /// Ends a term, at a low mark: another server may take the group at once.
    func release(
        _ group: SubscriptionGroup, term: String, at low: Int64, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) {
        let update = Update { update in
            update.document("$max") { $0.append("low", low) }
            update.document("$unset") {
                $0.append("term", "")
                $0.append("server", "")
                $0.append("seen", "")
            }
        }
        _ = try change(group, term, update, client, before: deadline)
    }

    private func change(
        _ group: SubscriptionGroup, _ term: String, _ update: Update, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Bool {
        let filter = Document { filter in
            filter.append("_id", group.id)
            filter.append("term", term)
        }
        return try client.collection(CollectionName.groups, in: database)
            .updateOne(filter, update, timeLimit: deadline.remaining).matchedCount == 1
    }
}

// MARK: - Expressions

extension GroupStore {
    /// The filter fits, and nobody else holds the group.
    private static func appendFree(to expression: inout DocumentBuilder, _ group: SubscriptionGroup, _ server: String) {
        expression.array("$and") { all in
            all.document { equal in
                equal.array("$eq") {
                    $0.document { Self.appendIfNull(to: &$0, "$filter", group.filter.rawValue) }
                    $0.append(group.filter.rawValue)
                }
            }
            all.document { any in
                any.array("$or") { any in
                    any.document { equal in
                        equal.array("$eq") {
                            $0.append("$server")
                            $0.document { $0.append("$literal", server) }
                        }
                    }
                    // A missing time is less than any: a new group, and one that was given back.
                    any.document { less in
                        less.array("$lt") {
                            $0.append("$seen")
                            $0.document { difference in
                                difference.array("$subtract") {
                                    $0.append("$$NOW")
                                    $0.append(Int64(Limits.groupLease.wholeMicroseconds / 1000))
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// What a new group begins with.
    private static func append(_ group: SubscriptionGroup, start: Int64, to set: inout DocumentBuilder) {
        set.document("identity") { $0.append("$literal", group.identity) }
        set.document("name") { $0.append("$literal", group.name) }
        set.document("filter") { appendIfNull(to: &$0, "$filter", group.filter.rawValue) }
        set.document("low") { low in
            low.array("$ifNull") {
                $0.append("$low")
                $0.append(start)
            }
        }
        set.document("created") { created in
            created.array("$ifNull") {
                $0.append("$created")
                $0.append("$$NOW")
            }
        }
    }

    private static func appendIfNull(to expression: inout DocumentBuilder, _ field: String, _ value: Int32) {
        expression.array("$ifNull") {
            $0.append(field)
            $0.append(value)
        }
    }

    private static func appendIfFree(to expression: inout DocumentBuilder, _ value: String, else other: String) {
        expression.array("$cond") {
            $0.append("$free")
            $0.document { $0.append("$literal", value) }
            $0.append(other)
        }
    }
}
