/// JSON text under construction: commas, line breaks and escapes.
struct JSONOutput {
    private(set) var text = ""
    private let isPretty: Bool
    private var depth = 0
    /// True right after an opening bracket.
    private var isFirst = true

    init(isPretty: Bool) { self.isPretty = isPretty }

    mutating func open(_ bracket: String) {
        text += bracket
        depth += 1
        isFirst = true
    }

    mutating func close(_ bracket: String) {
        depth -= 1
        if !isFirst { breakLine() }
        text += bracket
        isFirst = false
    }

    /// Comes before each element of an array.
    mutating func element() {
        if !isFirst { text += "," }
        isFirst = false
        breakLine()
    }

    mutating func key(_ key: String) {
        element()
        string(key)
        text += isPretty ? ": " : ":"
    }

    mutating func raw(_ literal: String) { text += literal }

    mutating func number<Number: BinaryFloatingPoint & CustomStringConvertible>(_ value: Number) {
        if value.isNaN {
            string("NaN")
        } else if value.isInfinite {
            string(value < 0 ? "-Infinity" : "Infinity")
        } else {
            text += value.description  // the shortest digits that read back as the same value
        }
    }

    mutating func string(_ value: String) {
        text += "\""
        // Most text has nothing to escape, and is copied as a whole.
        if value.utf8.allSatisfy(Self.isPlain) { text += value } else { escape(value) }
        text += "\""
    }

    /// Whether a byte of UTF-8 stands for itself, wherever it stands. What begins the characters beyond ASCII that are escaped is not.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), 0..<0x20, 0x7F, 0xC2, 0xE2: false
        default: true
        }
    }

    private mutating func escape(_ value: String) {
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            // Control characters, and the line separators that JavaScript does not take.
            case "\u{0}"..<" ", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
    }

    private mutating func breakLine() {
        if isPretty { text += "\n" + String(repeating: "  ", count: depth) }
    }
}
