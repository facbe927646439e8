internal import CMongoC

/// How a query runs. What is nil or zero is not sent.
package struct FindOptions: Sendable {
    package var sort: Document?
    package var projection: Document?
    package var skip: Int
    package var limit: Int
    /// The name of the index to use; `_id_` is that of `_id`.
    package var hint: String?
    /// Not in a transaction, which has one of its own.
    package var readConcern: ReadConcern?
    /// Waits until what is read is as new as this, with read concern `.majority` until a majority has it: of `findBatch` and `findOne`.
    package var notBefore: ClusterTime?
    /// What the caller has left; bounds `maxTimeMS`.
    package var timeLimit: Duration?

    package init(
        sort: Document? = nil, projection: Document? = nil, skip: Int = 0, limit: Int = 0, hint: String? = nil,
        readConcern: ReadConcern? = nil, notBefore: ClusterTime? = nil, timeLimit: Duration? = nil
    ) {
        self.sort = sort
        self.projection = projection
        self.skip = skip
        self.limit = limit
        self.hint = hint
        self.readConcern = readConcern
        self.notBefore = notBefore
        self.timeLimit = timeLimit
    }
}

extension Collection {
    /// The matching documents. Nothing is sent before the cursor's first `next()`, which throws what goes wrong.
    @_lifetime(copy self)
    package func find(_ filter: Document, _ findOptions: FindOptions = FindOptions()) throws(MongoError) -> Cursor {
        let options = try options(findOptions.timeLimit)
        options.append("sort", findOptions.sort)
        options.append("projection", findOptions.projection)
        if findOptions.skip > 0 { options.append("skip", Int64(findOptions.skip)) }
        if findOptions.limit > 0 {
            options.append("limit", Int64(findOptions.limit))
            // All rows in the first reply: the server's default is 101 rows, then another round trip.
            options.append("batchSize", Int64(findOptions.limit) + 1)
        }
        options.append("hint", findOptions.hint)
        options.append(findOptions.readConcern)
        let bson = try filter.checked()
        defer { withExtendedLifetime(filter) {} }
        guard let cursor = mongoc_collection_find_with_opts(handle, bson, options.bson, nil) else {
            preconditionFailure("libmongoc reports a failed query through its cursor")
        }
        return tied(Cursor(stealing: cursor), to: self)
    }

    /// The matching documents, at most `limit`, in one reply: one round trip, and no cursor on either side. Throws
    /// `.documentTooLarge` where they are more than 16 MB.
    package func findBatch(_ filter: Document, _ options: FindOptions) throws(MongoError) -> Batch {
        precondition(options.limit > 0, "a batch has a limit")
        let milliseconds = try timeouts.maxTimeMilliseconds(remaining: options.timeLimit)
        let command = Document(reserving: Self.findCommandBytes + filter.byteCount) { command in
            command.append("find", name)
            command.append("filter", filter)
            if let sort = options.sort { command.append("sort", sort) }
            if let projection = options.projection { command.append("projection", projection) }
            if options.skip > 0 { command.append("skip", options.skip) }
            command.append("limit", options.limit)
            // One more, so that the server knows at the last row that it is the last, and keeps no cursor.
            command.append("batchSize", options.limit + 1)
            if let hint = options.hint { command.append("hint", hint) }
            if let concern = options.readConcern {
                command.document("readConcern") { reads in
                    reads.append("level", concern.rawValue)
                    if let time = options.notBefore { reads.append("afterClusterTime", time) }
                }
            }
            command.append("maxTimeMS", milliseconds)
        }
        return try readBatch(command, limit: options.limit)
    }

    /// The rows of a pipeline that gives at most `limit`, in one reply, as with `findBatch`.
    package func aggregateBatch(
        _ pipeline: [Document], limit: Int, hint: String? = nil, timeLimit: Duration? = nil
    ) throws(MongoError) -> Batch {
        precondition(limit > 0, "a batch has a limit")
        let milliseconds = try timeouts.maxTimeMilliseconds(remaining: timeLimit)
        let command = Document(reserving: pipeline.reduce(Self.findCommandBytes) { $0 + $1.byteCount }) { command in
            command.append("aggregate", name)
            command.append("pipeline", pipeline)
            command.document("cursor") { $0.append("batchSize", limit + 1) }
            if let hint { command.append("hint", hint) }
            command.append("maxTimeMS", milliseconds)
        }
        return try readBatch(command, limit: limit)
    }

    private func readBatch(_ command: Document, limit: Int) throws(MongoError) -> Batch {
        guard let session else { return try Batch(runRead(command, nil), capacity: limit) }
        let sessionOptions = try CommandOptions(session: session)
        return try Batch(runRead(command, sessionOptions.bson), capacity: limit)
    }

    /// Runs a command that only reads, which libmongoc tries again after a broken connection.
    private func runRead(_ command: Document, _ options: OpaquePointer?) throws(MongoError) -> Reply {
        try command.withUnsafeBSON { (command) throws(MongoError) in
            try Reply { reply, error in mongoc_collection_read_command_with_opts(handle, command, nil, options, reply, error) }
        }
    }

    /// Bytes of a find command without its filter, roughly.
    private static let findCommandBytes = 256

    /// Hands the first matching document to `read`; nil if there is none.
    package func findOne<R>(
        _ filter: Document, _ options: FindOptions = FindOptions(), read: (DocumentView) throws(MongoError) -> R
    ) throws(MongoError) -> R? {
        var options = options
        options.limit = 1
        let batch = try findBatch(filter, options)
        return batch.count == 0 ? nil : try read(batch[0])
    }

    /// A copy of the first matching document; nil if there is none.
    package func findOne(_ filter: Document, _ options: FindOptions = FindOptions()) throws(MongoError) -> Document? {
        try findOne(filter, options) { Document(copying: $0) }
    }

    /// Runs an aggregation pipeline.
    @_lifetime(copy self)
    package func aggregate(
        _ pipeline: [Document], hint: String? = nil, readConcern: ReadConcern? = nil, timeLimit: Duration? = nil
    ) throws(MongoError) -> Cursor {
        let options = try options(timeLimit)
        options.append("hint", hint)
        options.append(readConcern)
        let stages = Document { $0.append("pipeline", pipeline) }
        let bson = try stages.checked()
        defer { withExtendedLifetime(stages) {} }
        guard let cursor = mongoc_collection_aggregate(handle, MONGOC_QUERY_NONE, bson, options.bson, nil) else {
            preconditionFailure("libmongoc reports a failed pipeline through its cursor")
        }
        return tied(Cursor(stealing: cursor), to: self)
    }

    /// How many documents match, counted on the server.
    package func count(
        _ filter: Document, skip: Int = 0, limit: Int = 0, hint: String? = nil, readConcern: ReadConcern? = nil,
        timeLimit: Duration? = nil
    ) throws(MongoError) -> Int64 {
        var pipeline = [Document { $0.append("$match", filter) }]
        if skip > 0 { pipeline.append(Document { $0.append("$skip", skip) }) }
        if limit > 0 { pipeline.append(Document { $0.append("$limit", limit) }) }
        pipeline.append(Document { $0.append("$count", "n") })
        var cursor = try aggregate(pipeline, hint: hint, readConcern: readConcern, timeLimit: timeLimit)
        guard let row = try cursor.next() else { return 0 }
        return try row.int64("n")
    }
}
