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

    /// Throws the first refusal, or the write concern's error: for callers that wrote one thing.
    @discardableResult
    package consuming func checked() throws(MongoError) -> WriteResult {
        if let first = writeErrors.first { throw first.error }
        if let writeConcernError { throw writeConcernError }
        return self
    }
}

extension WriteResult {
    /// Reads libmongoc's reply to a write. Whether to throw is decided here, once for all writes.
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
        try view.find("writeErrors")?.array?.forEachDocument { (entry) throws(MongoError) in
            let code = Int(try entry.int64("code"))
            let (kind, mayHaveRun) = MongoError.serverKind(code)
            let text = entry.find("errmsg")?.string ?? ""
            writeErrors.append(
                WriteError(
                    index: Int(try entry.int64("index")),
                    error: MongoError(kind, code: code, labels: whole.labels, mayHaveRun: mayHaveRun, text)))
        }
        try view.find("writeConcernErrors")?.array?.forEachDocument { (entry) throws(MongoError) in
            let code = entry.find("code")?.int64 ?? 0
            let text = entry.find("errmsg")?.string ?? ""
            writeConcernError = MongoError(
                .writeConcern, code: Int(code), labels: whole.labels, mayHaveRun: true, text)
        }
        // Something else than refusals went wrong: a network error, a timeout, a transaction that is gone. libmongoc
        // puts the first refusal into `error` when there is one, under the server's domain.
        let explained = writeErrors.contains { $0.error.code == whole.code } || writeConcernError?.code == whole.code
            || whole.kind == .writeConcern && writeConcernError != nil
        if !explained || whole.labels.contains(.transientTransaction) { throw whole }
    }

    private static func count(_ view: DocumentView, _ name: FieldName, _ bulkName: FieldName) -> Int {
        let value = view.find(name)?.int64 ?? view.find(bulkName)?.int64 ?? 0
        return Int(value)
    }
}
