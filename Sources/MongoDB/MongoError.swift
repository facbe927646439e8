internal import CMongoC

/// Why a database operation failed, and what that says about whether it ran.
package struct MongoError: Error, Equatable, CustomStringConvertible {
    /// What a caller decides by.
    package enum Kind: Sendable {
        /// A unique key exists already (11000).
        case duplicateKey
        /// The connection broke, or an answer did not come within the socket timeout.
        case network
        /// No suitable server was found in time.
        case serverSelection
        /// The server stopped the operation at its time limit, or no time was left to begin it.
        case timeout
        /// Every client of the pool stayed taken for the whole wait-queue timeout.
        case poolExhausted
        /// Another transaction changed a document first; only inside a transaction.
        case writeConflict
        /// The write was done on the primary, but its durability was not confirmed.
        case writeConcern
        /// The transaction does not exist any more: aborted, timed out or killed.
        case transactionAborted
        /// The server is not a primary, is stepping down or shutting down.
        case notPrimary
        case authentication
        /// Any other refusal by the server; see `code`.
        case server
        /// Refused here, before anything was sent.
        case invalidArgument
        /// A call that the session's or the transaction's state does not allow.
        case invalidState
        case documentTooLarge
        /// Bytes or a stored document are not of the expected form.
        case malformedDocument
    }

    /// The labels of the transactions and retryable-writes specifications.
    package struct Labels: OptionSet, Sendable {
        package let rawValue: Int

        package init(rawValue: Int) {
            self.rawValue = rawValue
        }

        /// The whole transaction may be repeated.
        package static let transientTransaction = Labels(rawValue: 1)
        /// The commit may be repeated, and only the commit.
        package static let unknownCommitResult = Labels(rawValue: 2)
        package static let retryableWrite = Labels(rawValue: 4)

        static let names: [(label: Labels, name: String)] = [
            (.transientTransaction, "TransientTransactionError"),
            (.unknownCommitResult, "UnknownTransactionCommitResult"),
            (.retryableWrite, "RetryableWriteError"),
        ]
    }

    package var kind: Kind
    /// The server's code, or libmongoc's own.
    package var code: Int
    package var labels: Labels
    package var message: String
    /// False only if it is certain that the server did not carry the operation out.
    package var mayHaveRun: Bool

    package init(
        _ kind: Kind, code: Int = 0, labels: Labels = [], mayHaveRun: Bool = false, _ message: String
    ) {
        self.kind = kind
        self.code = code
        self.labels = labels
        self.mayHaveRun = mayHaveRun
        self.message = message
    }

    package var description: String {
        code == 0 ? "\(kind): \(message)" : "\(kind) (\(code)): \(message)"
    }
}
