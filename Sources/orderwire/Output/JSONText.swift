import RPC

/// JSON that is no message of the API: failures and log lines.
enum JSONText {
    /// `text` as a string of JSON, quotes included. Control characters are escaped.
    static func string(_ text: some StringProtocol) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x10000 && scalar.isControl:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// A failed call as one line: `{"error":{"code":"NOT_FOUND","reason":...}}`.
    static func line(_ error: RPCError) -> String {
        var members: [(key: String, value: JSONValue)] = [
            ("code", .string(error.code.description)), ("reason", .string(error.reason)), ("message", .string(error.message)),
            ("disposition", .string(error.disposition.description)),
        ]
        if !error.metadata.isEmpty {
            members.append(("metadata", .object(error.metadata.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })))
        }
        if !error.fieldViolations.isEmpty {
            let violations = error.fieldViolations.map {
                JSONValue.object([("field", .string($0.field)), ("description", .string($0.description))])
            }
            members.append(("fieldViolations", .array(violations)))
        }
        if let delay = error.retryDelay { members.append(("retryDelay", .string(delay.secondsText))) }
        return JSONValue.object([("error", .object(members))]).text() + "\n"
    }

    static func line(_ error: UsageError) -> String {
        JSONValue.object([("error", .object([("code", .string("USAGE")), ("message", .string(error.message))]))]).text() + "\n"
    }
}
