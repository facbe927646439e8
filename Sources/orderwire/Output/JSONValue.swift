/// JSON that is no message of the API.
indirect enum JSONValue {
    case string(String)
    case number(Int)
    case bool(Bool)
    case array([JSONValue])
    case object([(key: String, value: JSONValue)])

    /// The text, on one line or indented for people.
    func text(isPretty: Bool = false) -> String { text(isPretty ? "\n" : nil) }

    /// `lineBreak`: what begins a line at this depth; nil for a single line.
    private func text(_ lineBreak: String?) -> String {
        switch self {
        case .string(let text): JSONText.string(text)
        case .number(let number): String(number)
        case .bool(let bool): bool ? "true" : "false"
        case .array(let elements): Self.list("[", elements.map { ("", $0) }, "]", lineBreak)
        case .object(let members):
            Self.list("{", members.map { (JSONText.string($0.key) + (lineBreak == nil ? ":" : ": "), $0.value) }, "}", lineBreak)
        }
    }

    private static func list(_ open: String, _ parts: [(prefix: String, value: JSONValue)], _ close: String, _ lineBreak: String?) -> String {
        if parts.isEmpty { return open + close }
        let inner = lineBreak.map { $0 + "  " }
        return open + parts.map { (inner ?? "") + $0.prefix + $0.value.text(inner) }.joined(separator: ",") + (lineBreak ?? "") + close
    }
}
