extension StringProtocol {
    /// The text with control characters written as `\n` or `\u{1B}`, so that data cannot drive a terminal or forge a line.
    package var escapingControls: String {
        guard unicodeScalars.contains(where: { $0.isControl }) else { return String(self) }
        var result = ""
        for scalar in unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.isControl: result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Columns the text takes on a terminal.
    package var columns: Int {
        reduce(0) { $0 + ($1.unicodeScalars.first?.isWide == true ? 2 : 1) }
    }

    /// The text in lines of at most so many columns where its blanks allow it; nil: one line.
    package func wrapped(to limit: Int?) -> [String] {
        guard let limit, columns > limit else { return [String(self)] }
        var lines = [""]
        for word in split(separator: " ") {
            if let line = lines.last, !line.isEmpty, line.columns + 1 + String(word).columns > limit { lines.append("") }
            lines[lines.count - 1] += (lines.last == "" ? "" : " ") + word
        }
        return lines
    }

    /// The text, cut to so many columns with an ellipsis where something is missing.
    package func truncated(to limit: Int) -> String {
        guard columns > limit else { return String(self) }
        var result = ""
        var used = 0
        for character in self {
            let width = String(character).columns
            guard used + width < limit else { break }
            result.append(character)
            used += width
        }
        return result + "…"
    }
}

extension Unicode.Scalar {
    /// C0, DEL, C1, and the marks that turn the direction of a line or break it.
    package var isControl: Bool {
        switch value {
        case 0...0x1F, 0x7F...0x9F, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// The blocks of East Asian and pictographic characters that take two columns.
    fileprivate var isWide: Bool {
        switch value {
        case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
            0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
            true
        default: false
        }
    }
}
