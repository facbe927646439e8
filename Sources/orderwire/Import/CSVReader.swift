/// Takes RFC 4180 apart: quoted fields may hold commas, quotes (doubled) and line ends.
///
/// Where quotes are wrong, the line on which the record begins is handed out as broken, and reading goes on with the next one:
/// a quote that is never closed costs its line and not the rest of the file.
struct CSVReader {
    /// What was found at the place where reading stood.
    enum Record {
        case fields([String])
        case broken(reason: String)
        /// Longer than a row may be; its rest is still to be skipped.
        case tooLong
    }

    let input: InputBuffer
    /// The line on which the next record begins, from 1.
    private(set) var line: Int

    init(_ input: InputBuffer, line: Int = 1) {
        self.input = input
        self.line = line
    }

    /// The next record that is not an empty line, with its own line; its text goes to `keep`.
    mutating func next(_ keep: (UnsafeBufferPointer<UInt8>) -> Void) throws(UsageError) -> (line: Int, record: Record)? {
        while true {
            switch try stretch() {
            case .end: return nil
            case .record(let count, let lineEnd, let lines):
                let record = input.withUnread { bytes -> Record? in
                    let text = UnsafeBufferPointer(rebasing: bytes[..<(count - lineEnd)])
                    keep(text)
                    return text.isEmpty ? nil : Self.record(text)
                }
                defer { pass(count, lines: lines) }
                if let record { return (line, record) }
            case .broken(let reason):
                guard case .whole(let count, let lineEnd)? = try input.line() else { return (line, .tooLong) }
                input.withUnread { keep(UnsafeBufferPointer(rebasing: $0[..<(count - lineEnd)])) }
                defer { pass(count, lines: 1) }
                return (line, .broken(reason: reason))
            case .tooLong:
                return (line, .tooLong)
            case .more: break  // `stretch` reads on by itself
            }
        }
    }

    /// Skips the rest of a line that is too long.
    mutating func skipLine(_ body: (UnsafeBufferPointer<UInt8>) throws -> Void) throws {
        try input.skipLine(body)
        line += 1
    }

    private mutating func pass(_ count: Int, lines: Int) {
        input.take(count)
        line += lines
    }

    // MARK: Where a record ends

    enum Stretch: Equatable {
        case record(count: Int, lineEnd: Int, lines: Int)
        case broken(reason: String)
        case tooLong
        /// There is not enough to tell.
        case more
        case end
    }

    private func stretch() throws(UsageError) -> Stretch {
        while true {
            let found = input.withUnread { Self.stretch($0, isAtEnd: input.isAtEnd) }
            guard found == .more else { return found }
            if input.unreadCount >= InputBuffer.maxRowBytes { return try tooLong() }
            try input.fill()
        }
    }

    /// What goes on for so long is one long line, or a quote that is never closed.
    private func tooLong() throws(UsageError) -> Stretch {
        if case .whole = try input.line() { return .broken(reason: Self.openQuote) }
        return .tooLong
    }

    private static let openQuote = "a quote is opened and not closed"

    private enum Place { case fieldStart, plain, quoted, afterQuote }

    private static func stretch(_ bytes: UnsafeBufferPointer<UInt8>, isAtEnd: Bool) -> Stretch {
        if bytes.isEmpty { return isAtEnd ? .end : .more }
        var place = Place.fieldStart
        var lines = 1
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            switch (place, byte) {
            case (.quoted, UInt8(ascii: "\"")): place = .afterQuote
            case (.quoted, UInt8(ascii: "\n")): lines += 1
            case (.quoted, _): break
            case (.fieldStart, UInt8(ascii: "\"")), (.afterQuote, UInt8(ascii: "\"")): place = .quoted
            case (_, UInt8(ascii: ",")): place = .fieldStart
            case (_, UInt8(ascii: "\n")): return .record(count: index + 1, lineEnd: 1, lines: lines)
            case (_, UInt8(ascii: "\r")):
                guard index + 1 < bytes.count || isAtEnd else { return .more }
                let isPair = index + 1 < bytes.count && bytes[index + 1] == UInt8(ascii: "\n")
                return .record(count: index + (isPair ? 2 : 1), lineEnd: isPair ? 2 : 1, lines: lines)
            case (.afterQuote, _): return .broken(reason: "something follows a closing quote")
            default: place = .plain
            }
            index += 1
        }
        guard isAtEnd else { return .more }
        return place == .quoted ? .broken(reason: openQuote) : .record(count: bytes.count, lineEnd: 0, lines: lines)
    }

    // MARK: Fields

    private static func record(_ text: UnsafeBufferPointer<UInt8>) -> Record {
        if text.contains(0) { return .broken(reason: "contains U+0000") }
        var fields: [String] = []
        fields.reserveCapacity(8)
        var start = 0
        while true {
            guard let (field, end) = field(text, from: start) else { return .broken(reason: "not UTF-8") }
            fields.append(field)
            if end == text.count { return .fields(fields) }
            start = end + 1
        }
    }

    /// The field that begins at `start`, and where the comma behind it stands, or the record ends; nil where it is not UTF-8.
    private static func field(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> (String, end: Int)? {
        guard start < text.count, text[start] == UInt8(ascii: "\"") else {
            let end = text[start...].firstIndex(of: UInt8(ascii: ",")) ?? text.count
            return String(validating: text[start..<end], as: UTF8.self).map { ($0, end) }
        }
        var bytes: [UInt8] = []
        var index = start + 1
        while index < text.count {
            if text[index] == UInt8(ascii: "\"") {
                index += 1
                guard index < text.count, text[index] == UInt8(ascii: "\"") else { break }
            }
            bytes.append(text[index])
            index += 1
        }
        return String(validating: bytes, as: UTF8.self).map { ($0, index) }
    }
}
