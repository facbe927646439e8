internal import CMongoC

extension MongoError {
    /// The one way from libmongoc's errors to ours.
    init(_ error: bson_error_t, reply: OpaquePointer? = nil) {
        let code = Int(error.code)
        let text = withUnsafeBytes(of: error.message) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        var labels: Labels = []
        if let reply {
            for (label, name) in Labels.names where mongoc_error_has_label(reply, name) { labels.insert(label) }
        }
        let (kind, mayHaveRun) = Self.classify(domain: mongoc_error_domain_t(error.domain), code: error.code)
        // Even if its last try found no server: an earlier one may have reached it.
        let isOpen = mayHaveRun || labels.contains(.unknownCommitResult)
        self.init(kind, code: code, labels: labels, mayHaveRun: isOpen, text)
    }

    private static func classify(domain: mongoc_error_domain_t, code: UInt32) -> (Kind, mayHaveRun: Bool) {
        switch domain {
        case MONGOC_ERROR_SERVER, MONGOC_ERROR_QUERY: return serverKind(Int(code))
        case MONGOC_ERROR_WRITE_CONCERN: return (.writeConcern, true)
        case MONGOC_ERROR_STREAM:
            let neverConnected = code == MONGOC_ERROR_STREAM_CONNECT.rawValue || code == MONGOC_ERROR_STREAM_NAME_RESOLUTION.rawValue
            return (.network, !neverConnected)
        case MONGOC_ERROR_PROTOCOL: return (.network, true)
        case MONGOC_ERROR_SERVER_SELECTION: return (.serverSelection, false)
        case MONGOC_ERROR_POOL: return (.poolExhausted, false)
        case MONGOC_ERROR_SASL, MONGOC_ERROR_SCRAM: return (.authentication, false)
        case MONGOC_ERROR_CLIENT:
            return (code == MONGOC_ERROR_CLIENT_AUTHENTICATE.rawValue ? .authentication : .invalidState, false)
        case MONGOC_ERROR_TRANSACTION: return (.invalidState, false)
        case MONGOC_ERROR_BSON: return (.documentTooLarge, false)
        default: return (.invalidArgument, false)
        }
    }

    /// MongoDB's own codes, by their names in its error_codes.yml.
    static func serverKind(_ code: Int) -> (Kind, mayHaveRun: Bool) {
        switch code {
        case 11000, 11001, 12582: (.duplicateKey, false)
        // MaxTimeMSExpired, ExceededTimeLimit, LockTimeout: an update of many documents may have been half done.
        case 50, 262, 24: (.timeout, true)
        case 112: (.writeConflict, false)  // WriteConflict
        case 64, 79, 100: (.writeConcern, true)  // WriteConcernFailed, UnknownReplWriteConcern, UnsatisfiableWriteConcern
        case 225, 244, 251: (.transactionAborted, false)  // TransactionTooOld, TransactionAborted, NoSuchTransaction
        // InterruptedDueToReplStateChange, shutdown in progress, NotWritablePrimary, PrimarySteppedDown...
        case 91, 189, 10058, 10107, 11600, 11602, 13435, 13436: (.notPrimary, true)
        case 13, 18, 8000: (.authentication, false)
        default: (.server, true)
        }
    }
}

/// Calls a libmongoc function that reports through a `bson_error_t` and a reply, which it always initialises.
/// The reply is the caller's to read inside `read` and is destroyed here.
func withReply<R: ~Copyable>(
    _ call: (OpaquePointer, UnsafeMutablePointer<bson_error_t>) -> Bool,
    read: (_ succeeded: Bool, OpaquePointer, bson_error_t) throws(MongoError) -> R
) throws(MongoError) -> R {
    var error = bson_error_t()
    return try withAlignedRoom { (reply) throws(MongoError) -> R in
        bson_init(reply)
        let succeeded = call(reply, &error)
        defer { bson_destroy(reply) }
        return try read(succeeded, reply, error)
    }
}
