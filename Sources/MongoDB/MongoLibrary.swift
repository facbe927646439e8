internal import CMongoC
import Synchronization

/// libmongoc's process-wide state: initialised once, with its log caught before that.
package enum MongoLibrary {
    /// How serious libmongoc thinks a message is.
    package enum LogLevel: Sendable { case error, warning, info }

    /// Receives libmongoc's own messages, on whatever thread they arise.
    package typealias LogHandler = @Sendable (LogLevel, _ message: String) -> Void

    private static let handler = Mutex<LogHandler?>(nil)

    /// Where libmongoc's messages go from now on; nowhere until this is called. What matters reaches callers as errors.
    package static func setLogHandler(_ newHandler: LogHandler?) {
        handler.withLock { $0 = newHandler }
    }

    /// Runs once, on first use. "mongoc_init must be called before any other libmongoc function"; the log handler goes
    /// first so that nothing is ever written to the terminal.
    private static let started: Void = {
        mongoc_log_set_handler(
            { level, _, message, _ in
                if let message { MongoLibrary.log(level, String(cString: message)) }
            }, nil)
        mongoc_init()
    }()

    static func start() {
        _ = started
    }

    private static func log(_ level: mongoc_log_level_t, _ message: String) {
        // Written for every transaction that the server has aborted by itself, which is what a conflict is.
        if message.hasPrefix("Error in abortTransaction") { return }
        guard let handler = handler.withLock({ $0 }) else { return }
        switch level {
        case MONGOC_LOG_LEVEL_ERROR, MONGOC_LOG_LEVEL_CRITICAL: handler(.error, message)
        case MONGOC_LOG_LEVEL_WARNING: handler(.warning, message)
        default: handler(.info, message)
        }
    }
}
