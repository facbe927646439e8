internal import Glibc

/// Why the embedded mongod did not start.
package enum EmbeddedMongodError: Error, Equatable, CustomStringConvertible {
    case binaryNotFound(searched: [String])
    /// Another mongod has the data directory open.
    case dataDirectoryInUse(path: String, pid: Int32?)
    case dataDirectoryUnusable(path: String, reason: String)
    /// The process could not be created.
    case spawnFailed(reason: String)
    /// mongod ended by itself; its log's last errors say why.
    case exited(status: String, log: [String])
    /// No primary in time.
    case notReady(after: Duration, reason: String, log: [String])

    package var description: String {
        switch self {
        case .binaryNotFound(let searched):
            "mongod was not found; looked at \(searched.joined(separator: ", ")). Run scripts/fetch-mongod, "
                + "set ORDERWIRE_MONGOD, or use --mongodb mongodb://..."
        case .dataDirectoryInUse(let path, let pid):
            "the data directory \(path) is in use by another mongod" + (pid.map { " (process \($0))" } ?? "")
        case .dataDirectoryUnusable(let path, let reason):
            "the data directory \(path) cannot be used: \(reason)"
        case .spawnFailed(let reason):
            "mongod could not be started: \(reason)"
        case .exited(let status, let log):
            "mongod ended while it started (\(status))" + Self.quoted(log)
        case .notReady(let duration, let reason, let log):
            "mongod was not ready within \(duration): \(reason)" + Self.quoted(log)
        }
    }

    private static func quoted(_ log: [String]) -> String {
        log.isEmpty ? "" : ": " + log.joined(separator: " | ")
    }
}

/// The text of errno, read at once after the call that failed.
func lastError() -> String {
    errnoText(errno)
}

func errnoText(_ code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
