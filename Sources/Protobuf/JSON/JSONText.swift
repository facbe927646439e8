/// Takes JSON text (RFC 8259) apart from its start. The text is valid UTF-8.
struct JSONText {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    func error(_ reason: String) -> JSONDecodingError { JSONDecodingError(reason: "\(reason) at byte \(position)") }

    /// The next byte that is no blank.
    mutating func peek() throws(JSONDecodingError) -> UInt8 {
        skipBlanks()
        guard position < bytes.count else { throw error("the text ends") }
        return bytes[position]
    }

    private mutating func skipBlanks() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    /// Takes `character` where it comes next.
    mutating func take(_ character: Unicode.Scalar) throws(JSONDecodingError) -> Bool {
        guard try peek() == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    /// Takes `character`, which has to come next.
    mutating func expect(_ character: Unicode.Scalar) throws(JSONDecodingError) {
        guard try take(character) else { throw error("'\(character)' is missing") }
    }

    /// Takes `null` where it comes next.
    mutating func takeNull() throws(JSONDecodingError) -> Bool {
        guard try peek() == UInt8(ascii: "n") else { return false }
        try expectWord("null")
        return true
    }

    /// Throws where anything but blanks is left.
    mutating func expectEnd() throws(JSONDecodingError) {
        skipBlanks()
        guard position == bytes.count else { throw error("something follows the value") }
    }

    /// `true` or `false`.
    mutating func bool() throws(JSONDecodingError) -> Bool {
        switch try peek() {
        case UInt8(ascii: "t"):
            try expectWord("true")
            return true
        case UInt8(ascii: "f"):
            try expectWord("false")
            return false
        default: throw error("true or false is expected")
        }
    }

    private mutating func expectWord(_ word: String) throws(JSONDecodingError) {
        for byte in word.utf8 {
            guard position < bytes.count, bytes[position] == byte else { throw error("'\(word)' is misspelt") }
            position += 1
        }
    }
}

// MARK: - Numbers

extension JSONText {
    /// The text of a number: an optional sign, digits without a leading zero, a fraction, an exponent.
    mutating func number() throws(JSONDecodingError) -> String {
        _ = try peek()
        let start = position
        takeSign("-")
        let integerStart = position
        try takeDigits()
        if bytes[integerStart] == UInt8(ascii: "0"), position > integerStart + 1 { throw error("a number starts with 0") }
        if isNext(".") {
            position += 1
            try takeDigits()
        }
        if isNext("e") || isNext("E") {
            position += 1
            if isNext("+") { position += 1 } else { takeSign("-") }
            try takeDigits()
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private func isNext(_ character: Unicode.Scalar) -> Bool {
        position < bytes.count && bytes[position] == UInt8(ascii: character)
    }

    private mutating func takeSign(_ sign: Unicode.Scalar) {
        if isNext(sign) { position += 1 }
    }

    private mutating func takeDigits() throws(JSONDecodingError) {
        let start = position
        while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) { position += 1 }
        guard position > start else { throw error("a number is expected") }
    }
}

// MARK: - Strings

extension JSONText {
    /// The UTF-8 bytes of a string.
    mutating func string() throws(JSONDecodingError) -> [UInt8] {
        guard try take("\"") else { throw error("a string is expected") }
        var text: [UInt8] = []
        while position < bytes.count {
            let start = position
            while position < bytes.count, Self.isPlain(bytes[position]) { position += 1 }
            text += bytes[start..<position]
            guard position < bytes.count else { break }
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return text
            case UInt8(ascii: "\\"): try escape(into: &text)
            default: throw error("a control character that is not escaped")
            }
        }
        throw error("a string has no end")
    }

    /// Whether a byte within a string stands for itself.
    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONDecodingError) {
        guard position < bytes.count else { throw error("a string has no end") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            guard let scalar = Unicode.Scalar(try escapedCodePoint()) else { throw error("a lone surrogate") }
            text += Array(String(Character(scalar)).utf8)
        default: throw error("an unknown escape")
        }
    }

    private mutating func escapedCodePoint() throws(JSONDecodingError) -> UInt32 {
        let first = try fourHexDigits()
        guard (0xD800...0xDBFF).contains(first) else { return first }
        guard position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
        else { return first }
        position += 2
        let second = try fourHexDigits()
        guard (0xDC00...0xDFFF).contains(second) else { return first }
        return 0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)
    }

    private mutating func fourHexDigits() throws(JSONDecodingError) -> UInt32 {
        guard position + 4 <= bytes.count else { throw error("a string has no end") }
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
                throw error("four hexadecimal digits are expected")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }
}

// MARK: - Looking ahead

extension JSONText {
    /// Passes over a value that nests at most `depth` deep.
    mutating func skipValue(depth: Int) throws(JSONDecodingError) {
        guard depth > 0 else { throw error("nested too deeply") }
        switch try peek() {
        case UInt8(ascii: "{"):
            position += 1
            if try take("}") { return }
            repeat {
                _ = try string()
                try expect(":")
                try skipValue(depth: depth - 1)
            } while try take(",")
            try expect("}")
        case UInt8(ascii: "["):
            position += 1
            if try take("]") { return }
            repeat { try skipValue(depth: depth - 1) } while try take(",")
            try expect("]")
        case UInt8(ascii: "\""): _ = try string()
        case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try bool()
        case UInt8(ascii: "n"): try expectWord("null")
        default: _ = try number()
        }
    }
}
