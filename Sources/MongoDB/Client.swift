internal import CMongoC

/// One thread's connection to the database, on loan from a pool. It goes back when the value goes out of scope.
///
/// "A mongoc_client_t is not thread-safe": take it, use it and let it go in one thread.
package struct Client: ~Copyable {
    let handle: OpaquePointer
    private let pool: ClientPool

    init(stealing handle: OpaquePointer, from pool: ClientPool) {
        self.handle = handle
        self.pool = pool
    }

    deinit {
        pool.give(back: handle)
    }

    package var timeouts: Timeouts { pool.timeouts }

    /// A collection for operations outside any session; in a transaction, ask the `Session` for it.
    @_lifetime(borrow self)
    package func collection(_ name: String, in database: String) -> Collection {
        tied(Collection(client: handle, database: database, name: name, session: nil, timeouts: timeouts), to: self)
    }

    /// Starts a session: no round trip, the server learns of it with its first operation.
    @_lifetime(borrow self)
    package func startSession() throws(MongoError) -> Session {
        var error = bson_error_t()
        guard let session = mongoc_client_start_session(handle, nil, &error) else { throw MongoError(error) }
        return tied(Session(stealing: session, client: handle, timeouts: timeouts), to: self)
    }

    /// Runs a command that neither the driver retries nor any concern is added to, and returns its reply.
    @discardableResult
    package func runCommand(
        _ command: Document, in database: String, timeLimit: Duration? = nil
    ) throws(MongoError) -> Document {
        let options = try CommandOptions(timeouts, timeLimit: timeLimit)
        let handle = handle
        return try command.withUnsafeBSON { (command) throws(MongoError) in
            try withReply { reply, error in
                mongoc_client_command_with_opts(handle, database, command, nil, options.bson, reply, error)
            } read: { (succeeded, reply, error) throws(MongoError) in
                guard succeeded else { throw MongoError(error, reply: reply) }
                return Document(copying: reply)
            }
        }
    }

    /// Ends sessions of whatever client, with their open transactions: how the documents that a killed process holds
    /// are freed at once, and not after `transactionLifetimeLimitSeconds`.
    package func killSessions(_ sessions: [SessionID], timeLimit: Duration? = nil) throws(MongoError) {
        let command = Document { command in
            command.array("killSessions") { array in
                for session in sessions { array.document { $0.append("id", session) } }
            }
        }
        try runCommand(command, in: "admin", timeLimit: timeLimit)
    }

    package func dropDatabase(_ name: String, timeLimit: Duration? = nil) throws(MongoError) {
        try runCommand(Document { $0.append("dropDatabase", 1) }, in: name, timeLimit: timeLimit)
    }
}

/// The `opts` document of one libmongoc call. Ours alone, so it is filled in and freed here.
struct CommandOptions: ~Copyable {
    let bson: OpaquePointer

    /// - Parameter session: makes the operation part of it.
    init(_ timeouts: Timeouts, timeLimit: Duration?, session: OpaquePointer? = nil) throws(MongoError) {
        let limit = try timeouts.maxTimeMilliseconds(remaining: timeLimit)
        try self.init(session: session)
        bson_append_int64(bson, "maxTimeMS", -1, limit)
    }

    /// Without a time limit, for the few calls that take none.
    init(session: OpaquePointer?) throws(MongoError) {
        bson = bson_sized_new(240)
        guard let session else { return }
        var error = bson_error_t()
        // The document is freed by deinit even then, as all fields are set.
        guard mongoc_client_session_append(session, bson, &error) else { throw MongoError(error) }
    }

    deinit {
        bson_destroy(bson)
    }

    func append(_ key: FieldName, _ value: Int64) {
        bson_append_int64(bson, key.pointer, key.byteCount, value)
    }

    func append(_ key: FieldName, _ value: Bool) {
        bson_append_bool(bson, key.pointer, key.byteCount, value)
    }

    func append(_ key: FieldName, _ value: String?) {
        if let value { _ = RawBSON(bson).append(key.pointer, key.byteCount, value) }
    }

    func append(_ key: FieldName, _ value: Document?) {
        if let value { _ = RawBSON(bson).append(key.pointer, key.byteCount, value) }
    }

    func append(_ key: FieldName, _ values: [Document]) {
        guard !values.isEmpty else { return }
        _ = RawBSON(bson).appendArray(key.pointer, key.byteCount) { array in
            for value in values { array.append(value) }
        }
    }

    func append(_ concern: ReadConcern?) {
        guard let concern else { return }
        _ = RawBSON(bson).appendDocument("readConcern", 11) { $0.append("level", concern.rawValue) }
    }
}
