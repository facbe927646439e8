import ArgumentParser
import Glibc
import RPC
import Terminal

/// How the program ends when something failed.
enum Failure {
    /// Says what happened on standard error, as text or as JSON, and ends the process with the code that belongs to it.
    static func exit(with error: any Error, format: OutputFormat) -> Never {
        switch error {
        case let error as RPCError:
            StandardStream.error.write(format == .table ? text(error) : JSONText.line(error))
            Glibc.exit(ExitStatus.call(error.code))
        case let error as UsageError:
            let line = format == .table ? "orderwire: \(error.message.escapingControls)\n" : JSONText.line(error)
            StandardStream.error.write(line)
            Glibc.exit(ExitStatus.usage)
        case let error as StartFailure:
            StandardStream.error.write("orderwire: the server cannot start: \(error.reason.escapingControls)\n")
            Glibc.exit(ExitStatus.failure)
        default:
            // ArgumentParser's own: usage, help, version, and codes that commands throw.
            Orderwire.exit(withError: error)
        }
    }

    static func text(_ error: RPCError) -> String {
        let reason = error.reason == error.code.description ? "" : " \(error.reason)"
        var text = "orderwire: \(error.code)\(reason): \(error.message.escapingControls)\n"
        // The message tells of the first one.
        for violation in error.fieldViolations where error.fieldViolations.count > 1 {
            text += "  \(violation.field.escapingControls): \(violation.description.escapingControls)\n"
        }
        switch error.disposition {
        case .notExecuted: text += "  The call was not carried out.\n"
        case .maybe: text += "  The call may have been carried out.\n"
        case .executed: break
        }
        if let delay = error.retryDelay { text += "  Try again in \(delay).\n" }
        return text
    }
}

/// Something the user gave cannot be used.
struct UsageError: Error {
    let message: String

    init(_ message: String) {
        self.message = message
    }
}
