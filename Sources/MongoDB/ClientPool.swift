internal import CMongoC

/// The connections to one deployment, shared by all threads; each thread takes a `Client` of its own from it.
///
/// Only pooled clients are used: libmongoc's single-threaded ones can deadlock on errors (CDRIVER-4666), and monitor the
/// servers only while they run an operation.
package final class ClientPool: Sendable {
    /// "mongoc_client_pool_t is thread-safe" (its manual page); only its setup calls are not, and they are in `init`.
    nonisolated(unsafe) private let handle: OpaquePointer
    package let timeouts: Timeouts

    /// Connects lazily: a database that is away shows at the first operation.
    ///
    /// - Parameters:
    ///   - uri: `mongodb://...`; its timeouts and concerns are replaced by ours.
    ///   - size: clients at most; size it to the threads that use it.
    package init(uri: String, appName: String, size: Int = 100, timeouts: Timeouts) throws(MongoError) {
        MongoLibrary.start()
        self.timeouts = timeouts
        var error = bson_error_t()
        guard let parsed = mongoc_uri_new_with_error(uri, &error) else {
            throw MongoError(.invalidArgument, "the MongoDB URI is not valid: \(MongoError(error).message)")
        }
        defer { mongoc_uri_destroy(parsed) }
        try Self.configure(parsed, appName: appName, size: size, timeouts)
        guard let handle = mongoc_client_pool_new_with_error(parsed, &error) else {
            throw MongoError(.invalidArgument, "the MongoDB URI is not valid: \(MongoError(error).message)")
        }
        // Version 2 tells server errors from client errors, and carries labels.
        mongoc_client_pool_set_error_api(handle, MONGOC_ERROR_API_VERSION_2)
        CommandTime.count(in: handle)
        self.handle = handle
    }

    /// All clients are back: each holds a reference to the pool.
    deinit {
        mongoc_client_pool_destroy(handle)
    }

    /// Takes a client, for this thread, until it goes out of scope. Throws `.poolExhausted` when none gets free in time.
    package func takeClient() throws(MongoError) -> Client {
        guard let client = mongoc_client_pool_pop(handle) else {
            throw MongoError(.poolExhausted, "all database clients stayed busy for \(timeouts.waitQueue)")
        }
        return Client(stealing: client, from: self)
    }

    /// Takes a client for the time of `body`.
    package func withClient<R: ~Copyable>(_ body: (borrowing Client) throws(MongoError) -> R) throws(MongoError) -> R {
        let client = try takeClient()
        return try body(client)
    }

    /// Takes a client for the time of `body`, whose errors are the caller's own.
    package func withClient<R: ~Copyable, E: Error>(
        mapping: (MongoError) -> E, _ body: (borrowing Client) throws(E) -> R
    ) throws(E) -> R {
        let client: Client
        do throws(MongoError) {
            client = try takeClient()
        } catch {
            throw mapping(error)
        }
        return try body(client)
    }

    /// Called by a client as it goes out of scope.
    func give(back client: OpaquePointer) {
        mongoc_client_pool_push(handle, client)
    }

    private static func configure(
        _ uri: OpaquePointer, appName: String, size: Int, _ timeouts: Timeouts
    ) throws(MongoError) {
        let numbers: [(String, Duration)] = [
            (MONGOC_URI_CONNECTTIMEOUTMS, timeouts.connect),
            (MONGOC_URI_SERVERSELECTIONTIMEOUTMS, timeouts.serverSelection),
            (MONGOC_URI_SOCKETTIMEOUTMS, timeouts.socket),
            (MONGOC_URI_WAITQUEUETIMEOUTMS, timeouts.waitQueue),
            (MONGOC_URI_HEARTBEATFREQUENCYMS, Timeouts.heartbeat),
        ]
        var accepted = true
        for (option, duration) in numbers {
            accepted = accepted && mongoc_uri_set_option_as_int32(uri, option, Int32(clamping: duration.wholeMilliseconds))
        }
        accepted = accepted && mongoc_uri_set_option_as_int32(uri, MONGOC_URI_MAXPOOLSIZE, Int32(clamping: max(size, 1)))
        accepted = accepted && mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, true)
        accepted = accepted && mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, true)
        accepted = accepted && mongoc_uri_set_appname(uri, appName)
        guard accepted else { throw MongoError(.invalidArgument, "the MongoDB URI does not take our options") }

        guard let concern = mongoc_write_concern_new() else { preconditionFailure("libbson aborts when memory runs out") }
        defer { mongoc_write_concern_destroy(concern) }
        // What is answered as done has reached a majority's journals; waiting ends before the socket's timeout does.
        mongoc_write_concern_set_wmajority(concern, Int32(clamping: timeouts.maxTime.wholeMilliseconds))
        mongoc_write_concern_set_journal(concern, true)
        mongoc_uri_set_write_concern(uri, concern)
    }
}
