import Logging
import MongoDB
import RPC

/// The shop's database for calls: clients from the pool, and the one place where its failures become the callers'.
struct ShopDatabase: Sendable {
    let pool: ClientPool
    let name: String
    let logger: Logger
    private let watch = DatabaseWatch()

    init(pool: ClientPool, name: String, logger: Logger) {
        self.pool = pool
        self.name = name
        self.logger = logger
    }

    /// Whether an operation whose outcome is open may have changed something.
    enum Effect: Sendable { case read, write }

    /// Runs `body` with a client, for a call with this deadline. `body` hands each command the time that is left: a command that
    /// would have none is not sent.
    func perform<Result>(
        _ effect: Effect, before deadline: Deadline, _ body: (borrowing Client) throws(MongoError) -> Result
    ) throws(RPCError) -> Result {
        if deadline.hasPassed { throw .deadlineExceeded(at: "database", disposition: .notExecuted) }
        let admission = watch.admit()
        if case .fails = admission { throw Self.unavailable }
        let start = MonotonicTime.now
        do throws(MongoError) {
            let result = try pool.withClient(body)
            watch.end(admission, nil, since: start)
            return result
        } catch {
            watch.end(admission, error, since: start)
            throw rpcError(error, effect, deadline)
        }
    }

    /// What a caller is told about `error`: whether the call ran, and when to try again.
    func rpcError(_ error: MongoError, _ effect: Effect, _ deadline: Deadline) -> RPCError {
        let outcomeIsOpen = error.mayHaveRun && effect == .write
        switch error.kind {
        case .timeout where deadline.hasPassed:
            return .deadlineExceeded(at: "database", disposition: outcomeIsOpen ? .maybe : .notExecuted)
        case .network, .serverSelection, .timeout, .poolExhausted, .writeConflict, .writeConcern, .transactionAborted, .notPrimary:
            logger.warning("The database is away or did not answer in time", metadata: ["error": "\(error)"])
            return outcomeIsOpen ? Self.outcomeUnknown : Self.unavailable
        case .server where error.isAboutMissingIndex:
            logger.error("An index is missing", metadata: ["error": "\(error)"])
            return Self.indexMissing
        case .duplicateKey, .authentication, .server, .invalidArgument, .invalidState, .documentTooLarge, .malformedDocument:
            let id = OpaqueID.make()
            logger.error("The database refused what it was sent", metadata: ["id": "\(id)", "error": "\(error)"])
            return .internalError(id: id, disposition: outcomeIsOpen ? .maybe : .executed)
        }
    }

    /// Nothing was changed.
    static let unavailable = RPCError(
        .unavailable, reason: "DATABASE_UNAVAILABLE", "the database cannot be reached or is too slow; nothing was changed",
        disposition: .notExecuted, retryDelay: Limits.databaseRetryDelay)

    /// The database was asked to use an index that somebody dropped or hid. Nothing is scanned instead.
    static let indexMissing = RPCError(
        .failedPrecondition, reason: "INDEX_MISSING",
        "an index that serves this is missing in the database; a server creates it when it starts, and after a large import",
        disposition: .notExecuted)

    /// A write was sent, and no answer came that could be trusted.
    static let outcomeUnknown = RPCError(
        .unavailable, reason: "OUTCOME_UNKNOWN", "the database did not confirm the write; retry with the same key or content",
        disposition: .maybe, retryDelay: Limits.databaseRetryDelay)
}

/// Random names that mean nothing: 26 characters of base32.
enum OpaqueID {
    static func make() -> String {
        Base32.encode((0..<16).map { _ in UInt8.random(in: 0...255) })
    }
}

extension MongoError {
    /// Whether a query named an index that does not exist, or is hidden. The code, BadValue, says less than the text.
    var isAboutMissingIndex: Bool { kind == .server && code == 2 && message.contains("hint provided does not correspond") }

    /// Whether the database is away or busy, so that the same work may well succeed later; otherwise something is wrong with
    /// the work itself.
    var isAboutDatabase: Bool {
        switch kind {
        case .network, .serverSelection, .timeout, .poolExhausted, .writeConflict, .writeConcern, .transactionAborted, .notPrimary,
            .authentication:
            true
        case .duplicateKey, .server, .invalidArgument, .invalidState, .documentTooLarge, .malformedDocument:
            !labels.isEmpty
        }
    }
}
