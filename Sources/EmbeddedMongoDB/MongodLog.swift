internal import Glibc

/// Reads what mongod said before it failed.
enum MongodLog {
    /// Enough for the last lines of a failed start.
    private static let tailByteCount = 64 << 10
    private static let longestQuote = 600

    /// The last `count` lines that tell of an error: those of severity E or F, and those that are not in mongod's own
    /// format (its complaints about options, or the loader's about libraries).
    static func lastErrors(_ path: String, count: Int = 3) -> [String] {
        // What comes after it aborts is its stack.
        let beforeAbort = errors(in: tail(path)).prefix { !$0.contains("***aborting") }
        return Array(beforeAbort.suffix(count))
    }

    static func errors(in text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            guard line.hasPrefix("{\"t\":") else { return String(line.prefix(longestQuote)) }
            guard line.contains("\"s\":\"E\"") || line.contains("\"s\":\"F\"") else { return nil }
            // From the message on: date, severity and the like say nothing to the reader.
            guard let message = line.range(of: "\"msg\":") else { return String(line.prefix(longestQuote)) }
            return String(line[message.upperBound...].prefix(longestQuote))
        }
    }

    private static func tail(_ path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        let end = lseek(file, 0, SEEK_END)
        lseek(file, max(0, end - tailByteCount), SEEK_SET)
        var bytes = [UInt8](repeating: 0, count: tailByteCount)
        let count = read(file, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}

extension Substring {
    /// The first place where `pattern` stands.
    fileprivate func range(of pattern: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if let end = self[start...].firstMatchEnd(pattern) { return start..<end }
            start = index(after: start)
        }
        return nil
    }

    private func firstMatchEnd(_ pattern: String) -> Index? {
        hasPrefix(pattern) ? index(startIndex, offsetBy: pattern.count) : nil
    }
}
