/// Whether bytes can become a C string and a Swift string without a change.
enum TextCheck {
    case clean
    case containsNUL
    case notUTF8

    /// Looks at eight bytes at a time as long as they are ASCII.
    init(_ bytes: UnsafeRawBufferPointer) {
        var index = 0
        while index + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            guard word & 0x8080_8080_8080_8080 == 0 else { break }
            // Without high bits, subtracting one from each byte sets a high bit exactly where a byte was zero.
            guard (word &- 0x0101_0101_0101_0101) & 0x8080_8080_8080_8080 == 0 else {
                self = .containsNUL
                return
            }
            index += 8
        }
        while index < bytes.count {
            guard bytes[index] != 0 else {
                self = .containsNUL
                return
            }
            guard let length = Self.characterLength(bytes, index) else {
                self = .notUTF8
                return
            }
            index += length
        }
        self = .clean
    }

    /// Bytes of the well-formed character at `index` (Unicode 15, table 3-7); nil where there is none.
    private static func characterLength(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Int? {
        let first = bytes[index]
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch first {
        case 0x00...0x7F: return 1
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)  // not overlong
        case 0xED: (length, second) = (3, 0x80...0x9F)  // no surrogates
        case 0xE1...0xEF: length = 3
        case 0xF0: (length, second) = (4, 0x90...0xBF)  // not overlong
        case 0xF4: (length, second) = (4, 0x80...0x8F)  // not above U+10FFFF
        case 0xF1...0xF3: length = 4
        default: return nil
        }
        guard index + length <= bytes.count, second.contains(bytes[index + 1]) else { return nil }
        for offset in 2..<max(length, 2) where bytes[index + offset] & 0xC0 != 0x80 { return nil }
        return length
    }
}
