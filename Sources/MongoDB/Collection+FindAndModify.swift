internal import CMongoC

/// Which state of the document `findOneAndUpdate` returns.
package enum ReturnedDocument: Sendable { case before, after }

extension Collection {
    /// Updates the first document that matches and returns it, in one step.
    ///
    /// - Returns: nil if nothing matched (and nothing was inserted, or the state before an insertion was asked for).
    package func findOneAndUpdate(
        _ filter: Document, _ update: Update, returning: ReturnedDocument = .after, upsert: Bool = false,
        sort: Document? = nil, projection: Document? = nil, hint: String? = nil, timeLimit: Duration? = nil
    ) throws(MongoError) -> Document? {
        guard let options = mongoc_find_and_modify_opts_new() else {
            preconditionFailure("libbson aborts when memory runs out")
        }
        defer { mongoc_find_and_modify_opts_destroy(options) }
        let extra = try CommandOptions(session: session)
        extra.append("hint", hint)
        var flags = MONGOC_FIND_AND_MODIFY_NONE.rawValue
        if returning == .after { flags |= MONGOC_FIND_AND_MODIFY_RETURN_NEW.rawValue }
        if upsert { flags |= MONGOC_FIND_AND_MODIFY_UPSERT.rawValue }
        let limit = try timeouts.maxTimeMilliseconds(remaining: timeLimit)
        let body = try update.body.checked()
        var accepted =
            mongoc_find_and_modify_opts_set_flags(options, mongoc_find_and_modify_flags_t(flags))
            && mongoc_find_and_modify_opts_set_update(options, body)
            && mongoc_find_and_modify_opts_set_max_time_ms(options, UInt32(clamping: limit))
            && mongoc_find_and_modify_opts_append(options, extra.bson)
        if let sort = try sort?.checked() {
            accepted = mongoc_find_and_modify_opts_set_sort(options, sort) && accepted
        }
        if let projection = try projection?.checked() {
            accepted = mongoc_find_and_modify_opts_set_fields(options, projection) && accepted
        }
        guard accepted else { throw MongoError(.invalidArgument, "libmongoc refused findOneAndUpdate's options") }
        defer { withExtendedLifetime((update, sort, projection)) {} }

        return try filter.withUnsafeBSON { (filter) throws(MongoError) in
            try withReply { reply, error in
                mongoc_collection_find_and_modify_with_opts(handle, filter, options, reply, error)
            } read: { (succeeded, reply, error) throws(MongoError) in
                guard succeeded else { throw MongoError(error, reply: reply) }
                let view = DocumentView(unowned: reply)
                guard let found = view.find("value")?.document else { return nil }
                return Document(copying: found)
            }
        }
    }
}
