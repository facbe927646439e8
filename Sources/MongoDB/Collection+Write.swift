internal import CMongoC

extension Collection {
    /// Inserts documents in one command, in no particular order: one that is refused does not stop the others.
    ///
    /// - Returns: the refusals by index, and apart from them the write concern's error. Throws when the outcome of the
    ///   whole is open (`mayHaveRun`) or nothing was done.
    package func insertMany(_ documents: [Document], timeLimit: Duration? = nil) throws(MongoError) -> WriteResult {
        guard !documents.isEmpty else { return WriteResult() }
        let options = try options(timeLimit)
        options.append("ordered", false)
        // Skips libbson's walk over every field: `Document` admits only valid ones.
        options.append("validate", false)
        var pointers: [OpaquePointer?] = []
        pointers.reserveCapacity(documents.count)
        for document in documents { pointers.append(try document.checked()) }
        defer { withExtendedLifetime(documents) {} }
        return try withReply { reply, error in
            pointers.withUnsafeMutableBufferPointer {
                mongoc_collection_insert_many(handle, $0.baseAddress, $0.count, options.bson, reply, error)
            }
        } read: { (succeeded, reply, error) throws(MongoError) in
            try WriteResult(succeeded: succeeded, reply: reply, error: error)
        }
    }

    /// Inserts one document; throws `.duplicateKey` if its key exists.
    package func insertOne(_ document: Document, timeLimit: Duration? = nil) throws(MongoError) {
        try insertMany([document], timeLimit: timeLimit).checked()
    }

    /// Updates the first document that matches.
    @discardableResult
    package func updateOne(
        _ filter: Document, _ update: Update, upsert: Bool = false, hint: String? = nil, timeLimit: Duration? = nil
    ) throws(MongoError) -> WriteResult {
        if isInTransaction {
            return try runUpdate(filter, update, multi: false, upsert: upsert, hint: hint, timeLimit: timeLimit)
        }
        let options = try statementOptions(upsert: upsert, hint: hint, timeLimit)
        return try write(filter, update.body) { filter, update, reply, error in
            mongoc_collection_update_one(handle, filter, update, options.bson, reply, error)
        }
    }

    /// Updates all documents that match. It is not retried by itself, as the half of it may have been done.
    @discardableResult
    package func updateMany(
        _ filter: Document, _ update: Update, upsert: Bool = false, hint: String? = nil, timeLimit: Duration? = nil
    ) throws(MongoError) -> WriteResult {
        try runUpdate(filter, update, multi: true, upsert: upsert, hint: hint, timeLimit: timeLimit)
    }

    /// Replaces the first document that matches.
    @discardableResult
    package func replaceOne(
        _ filter: Document, _ replacement: Document, upsert: Bool = false, timeLimit: Duration? = nil
    ) throws(MongoError) -> WriteResult {
        if isInTransaction {
            return try runUpdate(
                filter, Update(replacement), multi: false, upsert: upsert, hint: nil, timeLimit: timeLimit)
        }
        let options = try statementOptions(upsert: upsert, hint: nil, timeLimit)
        return try write(filter, replacement) { filter, replacement, reply, error in
            mongoc_collection_replace_one(handle, filter, replacement, options.bson, reply, error)
        }
    }

    /// Deletes the first document that matches.
    @discardableResult
    package func deleteOne(_ filter: Document, timeLimit: Duration? = nil) throws(MongoError) -> WriteResult {
        if isInTransaction { return try runDelete(filter, limit: 1, timeLimit: timeLimit) }
        let options = try statementOptions(upsert: false, hint: nil, timeLimit)
        return try write(filter, filter) { filter, _, reply, error in
            mongoc_collection_delete_one(handle, filter, options.bson, reply, error)
        }
    }

    /// Deletes all documents that match. It is not retried by itself.
    @discardableResult
    package func deleteMany(_ filter: Document, timeLimit: Duration? = nil) throws(MongoError) -> WriteResult {
        try runDelete(filter, limit: 0, timeLimit: timeLimit)
    }

    /// libmongoc retries one statement after a network error, if its own helper sends it; that helper takes no time
    /// limit, so the socket's timeout bounds it, and here is only seen to it that there is time left.
    private func statementOptions(upsert: Bool, hint: String?, _ timeLimit: Duration?) throws(MongoError) -> CommandOptions {
        try timeouts.check(remaining: timeLimit)
        let options = try CommandOptions(session: session)
        if upsert { options.append("upsert", true) }
        options.append("hint", hint)
        return options
    }

    /// One statement: a refusal is thrown, as there is nothing else that could have succeeded.
    private func write(
        _ filter: Document, _ body: Document,
        _ call: (
            OpaquePointer, OpaquePointer, OpaquePointer,
            UnsafeMutablePointer<bson_error_t>
        ) -> Bool
    ) throws(MongoError) -> WriteResult {
        let filterBSON = try filter.checked()
        let bodyBSON = try body.checked()
        defer { withExtendedLifetime((filter, body)) {} }
        return try withReply { reply, error in
            call(filterBSON, bodyBSON, reply, error)
        } read: { (succeeded, reply, error) throws(MongoError) in
            try WriteResult(succeeded: succeeded, reply: reply, error: error).checked()
        }
    }
}
