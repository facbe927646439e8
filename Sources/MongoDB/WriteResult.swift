internal import CMongoC

/// The refusal of one document or one statement of a write.
package struct WriteError: Sendable, Equatable {
    /// Its place in what was passed.
    package var index: Int
    package var error: MongoError

    package var isDuplicateKey: Bool { error.kind == .duplicateKey }
}

/// What a write did. An operation returns it when the server carried the write out and reported on it, even if some of it
/// was refused; it throws when nothing is known or nothing was done.
package struct WriteResult: Sendable, Equatable {
    package var insertedCount = 0
    package var matchedCount = 0
    package var modifiedCount = 0
    package var upsertedCount = 0
    package var deletedCount = 0
    /// One for each document or statement that was refused; the others were done.
    package var writeErrors: [WriteError] = []
    /// The writes were done on the primary, but are not known to be durable: the outcome of all of them is open.
    package var writeConcernError: MongoError?
    /// libmongoc's number of the server that a bulk write was sent to, the same for all clients of a pool; 0 for other writes.
    package var server: UInt32 = 0

    /// Throws the first refusal, or the write concern's error: for callers that wrote one thing.
    @discardableResult
    package consuming func checked() throws(MongoError) -> WriteResult {
        if let first = writeErrors.first { throw first.error }
        if let writeConcernError { throw writeConcernError }
        return self
    }
}

extension WriteResult {
    /// Reads libmongoc's own reply to a write; `error` is set when anything at all went wrong. Whether to throw is decided
    /// here, once for all writes.
    init(succeeded: Bool, reply: OpaquePointer, error: bson_error_t) throws(MongoError) {
        let view = DocumentView(unowned: reply)
        // The single-statement calls and the bulk calls name the same numbers differently.
        insertedCount = Self.count(view, "insertedCount", "nInserted")
        matchedCount = Self.count(view, "matchedCount", "nMatched")
        modifiedCount = Self.count(view, "modifiedCount", "nModified")
        deletedCount = Self.count(view, "deletedCount", "nRemoved")
        upsertedCount = Self.count(view, "upsertedCount", "nUpserted")
        if upsertedCount == 0, view.contains("upsertedId") { upsertedCount = 1 }
        if succeeded { return }

        let whole = MongoError(error, reply: reply)
        try readRefusals(view, labels: whole.labels)
        try view.find("writeConcernErrors")?.array?.forEachDocument { (entry) throws(MongoError) in
            writeConcernError = Self.concernError(entry, labels: whole.labels)
        }
        // Anything else than refusals, such as a network error, is about the whole: libmongoc puts the last refusal
        // into `error` if that is all there was.
        let isRefusal = writeErrors.contains { $0.error.code == whole.code }
        let isConcern = writeConcernError != nil && (whole.kind == .writeConcern || writeConcernError?.code == whole.code)
        if !isRefusal && !isConcern { throw whole }
    }

    /// Reads the server's reply to a single `update` or `delete` command.
    init(commandSucceeded succeeded: Bool, reply: OpaquePointer, error: bson_error_t) throws(MongoError) {
        let view = DocumentView(unowned: reply)
        let whole = succeeded ? nil : MongoError(error, reply: reply)
        // A command that failed as a whole can carry a write concern's error too, about what it did before.
        if let whole, view.find("ok")?.double != 1 { throw whole }
        if let entry = view.find("writeConcernError")?.document {
            writeConcernError = Self.concernError(entry, labels: whole?.labels ?? [])
        }
        try readRefusals(view, labels: whole?.labels ?? [])
        let total = Self.count(view, "n", "n")
        var upserted = 0
        try view.find("upserted")?.array?.forEachDocument { (_) in upserted += 1 }
        upsertedCount = upserted
        if view.contains("nModified") {
            matchedCount = total - upserted
            modifiedCount = Self.count(view, "nModified", "nModified")
        } else {
            deletedCount = total
        }
    }

    private mutating func readRefusals(_ view: DocumentView, labels: MongoError.Labels) throws(MongoError) {
        guard let entries = view.find("writeErrors")?.array else { return }
        var refusals: [WriteError] = []
        try entries.forEachDocument { (entry) throws(MongoError) in
            let code = Int(try entry.int64("code"))
            let (kind, mayHaveRun) = MongoError.serverKind(code)
            let text = entry.find("errmsg")?.string ?? ""
            let error = MongoError(kind, code: code, labels: labels, mayHaveRun: mayHaveRun, text)
            refusals.append(WriteError(index: Int(try entry.int64("index")), error: error))
        }
        writeErrors = refusals
    }

    private static func concernError(_ entry: DocumentView, labels: MongoError.Labels) -> MongoError {
        MongoError(
            .writeConcern, code: Int(entry.find("code")?.int64 ?? 0), labels: labels, mayHaveRun: true,
            entry.find("errmsg")?.string ?? "")
    }

    private static func count(_ view: DocumentView, _ name: FieldName, _ bulkName: FieldName) -> Int {
        let value = view.find(name)?.int64 ?? view.find(bulkName)?.int64 ?? 0
        return Int(value)
    }
}
