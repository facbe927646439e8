internal import CMongoC

/// Many different statements on one collection, sent together. Collect, then execute once.
package struct BulkWrite: ~Copyable, ~Escapable {
    private let handle: OpaquePointer
    private let timeouts: Timeouts
    package private(set) var count = 0

    @_lifetime(immortal)
    init(stealing handle: OpaquePointer, timeouts: Timeouts) {
        self.handle = handle
        self.timeouts = timeouts
    }

    deinit {
        mongoc_bulk_operation_destroy(handle)
    }

    package mutating func insert(_ document: Document) throws(MongoError) {
        let options = try CommandOptions(session: nil)
        options.append("validate", false)
        try add(document, document) { bulk, document, _, error in
            mongoc_bulk_operation_insert_with_opts(bulk, document, options.bson, error)
        }
    }

    package mutating func updateOne(
        _ filter: Document, _ update: Update, upsert: Bool = false, hint: String? = nil
    ) throws(MongoError) {
        let options = try Self.options(upsert, hint)
        try add(filter, update.body) { bulk, filter, update, error in
            mongoc_bulk_operation_update_one_with_opts(bulk, filter, update, options.bson, error)
        }
    }

    /// A bulk write that holds one of these is not retried by libmongoc.
    package mutating func updateMany(
        _ filter: Document, _ update: Update, upsert: Bool = false, hint: String? = nil
    ) throws(MongoError) {
        let options = try Self.options(upsert, hint)
        try add(filter, update.body) { bulk, filter, update, error in
            mongoc_bulk_operation_update_many_with_opts(bulk, filter, update, options.bson, error)
        }
    }

    package mutating func replaceOne(
        _ filter: Document, _ replacement: Document, upsert: Bool = false, hint: String? = nil
    ) throws(MongoError) {
        let options = try Self.options(upsert, hint)
        try add(filter, replacement) { bulk, filter, replacement, error in
            mongoc_bulk_operation_replace_one_with_opts(bulk, filter, replacement, options.bson, error)
        }
    }

    package mutating func deleteOne(_ filter: Document) throws(MongoError) {
        try add(filter, filter) { bulk, filter, _, error in
            mongoc_bulk_operation_remove_one_with_opts(bulk, filter, nil, error)
        }
    }

    /// Sends all statements. Refusals come back by index, as from `insertMany`. libmongoc has no `maxTimeMS` for bulk
    /// writes, so only the socket's timeout bounds it; it is not begun where no time is left.
    package consuming func execute(timeLimit: Duration? = nil) throws(MongoError) -> WriteResult {
        guard count > 0 else { return WriteResult() }
        try timeouts.check(remaining: timeLimit)
        var server: UInt32 = 0
        var result = try withReply { reply, error in
            server = mongoc_bulk_operation_execute(handle, reply, error)
            return server != 0
        } read: { (succeeded, reply, error) throws(MongoError) in
            try WriteResult(succeeded: succeeded, reply: reply, error: error)
        }
        result.server = server
        return result
    }

    private static func options(_ upsert: Bool, _ hint: String?) throws(MongoError) -> CommandOptions {
        let options = try CommandOptions(session: nil)
        if upsert { options.append("upsert", true) }
        options.append("hint", hint)
        return options
    }

    private mutating func add(
        _ first: Document, _ second: Document,
        _ call: (OpaquePointer, OpaquePointer, OpaquePointer, UnsafeMutablePointer<bson_error_t>) -> Bool
    ) throws(MongoError) {
        let firstBSON = try first.checked()
        let secondBSON = try second.checked()
        defer { withExtendedLifetime((first, second)) {} }
        var error = bson_error_t()
        guard call(handle, firstBSON, secondBSON, &error) else { throw MongoError(error) }
        count += 1
    }
}

extension Collection {
    /// Begins a bulk write.
    ///
    /// - Parameter ordered: stop at the first refusal.
    @_lifetime(copy self)
    package func bulkWrite(ordered: Bool = false) throws(MongoError) -> BulkWrite {
        let options = try CommandOptions(session: session)
        options.append("ordered", ordered)
        guard let bulk = mongoc_collection_create_bulk_operation_with_opts(handle, options.bson) else {
            preconditionFailure("libmongoc reports a bulk write's wrong options at its execution")
        }
        return tied(BulkWrite(stealing: bulk, timeouts: timeouts), to: self)
    }
}
