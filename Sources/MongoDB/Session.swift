internal import CMongoC

/// What a read may see.
package enum ReadConcern: String, Sendable {
    /// The newest data of the server that is asked; it can still be rolled back.
    case local
    /// What a majority has.
    case majority
    /// One moment in time that a majority has, for all reads of a transaction.
    case snapshot
}

/// What a commit waits for.
package enum CommitConcern: Sendable {
    /// A majority's journals.
    case majority
    /// The primary alone: what was committed may be lost again, and with it all that was committed after it. Once something
    /// committed later has reached a majority, or the same transaction was committed a second time, this has too.
    case primary
}

/// A server session, and the transactions in it, one after another. It ends when the value goes out of scope; a
/// transaction that is open then is aborted.
package struct Session: ~Copyable, ~Escapable {
    private let handle: OpaquePointer
    private let client: OpaquePointer
    private let timeouts: Timeouts

    @_lifetime(immortal)
    init(stealing handle: OpaquePointer, client: OpaquePointer, timeouts: Timeouts) {
        self.handle = handle
        self.client = client
        self.timeouts = timeouts
    }

    deinit {
        mongoc_client_session_destroy(handle)
    }

    /// The session's name on the server. Store it where others can find it: whoever has it can `killSessions`.
    package var id: SessionID {
        let lsid = mongoc_client_session_get_lsid(handle)
        guard let lsid, let bytes = DocumentView(unowned: lsid).find("id")?.binary,
            let id = SessionID(bytes)
        else { preconditionFailure("libmongoc names every session by a UUID") }
        return id
    }

    package var isInTransaction: Bool {
        mongoc_client_session_in_transaction(handle)
    }

    /// The time of the newest thing that this session did or read; nil before there was any.
    package var operationTime: ClusterTime? {
        var (seconds, increment) = (UInt32(0), UInt32(0))
        mongoc_client_session_get_operation_time(handle, &seconds, &increment)
        return seconds == 0 ? nil : ClusterTime(UInt64(seconds) << 32 | UInt64(increment))
    }

    /// A collection whose operations all belong to this session, and to its transaction while one is open.
    @_lifetime(borrow self)
    package func collection(_ name: String, in database: String) -> Collection {
        tied(Collection(client: client, database: database, name: name, session: handle, timeouts: timeouts), to: self)
    }

    /// Begins a transaction. No round trip; the first operation carries it.
    package func startTransaction(
        readConcern: ReadConcern = .snapshot, commitConcern: CommitConcern = .majority, maxCommitTime: Duration? = nil
    ) throws(MongoError) {
        let limit = try timeouts.maxTimeMilliseconds(remaining: maxCommitTime)
        guard let options = mongoc_transaction_opts_new(), let reads = mongoc_read_concern_new(),
            let writes = mongoc_write_concern_new()
        else { preconditionFailure("libbson aborts when memory runs out") }
        defer {
            mongoc_transaction_opts_destroy(options)
            mongoc_read_concern_destroy(reads)
            mongoc_write_concern_destroy(writes)
        }
        mongoc_read_concern_set_level(reads, readConcern.rawValue)
        switch commitConcern {
        case .majority:
            mongoc_write_concern_set_wmajority(writes, Int32(clamping: timeouts.maxTime.wholeMilliseconds))
            mongoc_write_concern_set_journal(writes, true)
        case .primary:
            // libmongoc makes a majority of it where it commits again, and keeps the time limit.
            mongoc_write_concern_set_w(writes, 1)
            mongoc_write_concern_set_wtimeout_int64(writes, timeouts.maxTime.wholeMilliseconds)
        }
        mongoc_transaction_opts_set_read_concern(options, reads)
        mongoc_transaction_opts_set_write_concern(options, writes)
        mongoc_transaction_opts_set_max_commit_time_ms(options, limit)
        var error = bson_error_t()
        guard mongoc_client_session_start_transaction(handle, options, &error) else { throw MongoError(error) }
    }

    /// Commits. With the label `.unknownCommitResult` the commit, and it alone, may be tried again; libmongoc has already
    /// tried twice. A transaction that is committed already is committed to a majority.
    package func commitTransaction() throws(MongoError) {
        try withReply { reply, error in
            mongoc_client_session_commit_transaction(handle, reply, error)
        } read: { (succeeded, reply, error) throws(MongoError) in
            if !succeeded { throw MongoError(error, reply: reply) }
        }
    }

    /// Aborts the transaction, if one is open. Never fails: what the server has aborted already stays so, and what it
    /// cannot be told about ends by its own time limit.
    package func abortTransaction() {
        guard isInTransaction else { return }
        mongoc_client_session_abort_transaction(handle, nil)
    }
}
