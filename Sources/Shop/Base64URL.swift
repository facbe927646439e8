/// Base64 with the alphabet for URLs (RFC 4648, section 5), without padding.
enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: (bytes.count * 8 + 5) / 6) { characters in
            alphabet.withUnsafeBufferPointer { alphabet in
                var (buffer, bits, count): (UInt32, UInt32, Int) = (0, 0, 0)
                for byte in bytes {
                    buffer = buffer << 8 | UInt32(byte)
                    bits += 8
                    while bits >= 6 {
                        bits -= 6
                        characters[count] = alphabet[Int(buffer >> bits & 63)]
                        count += 1
                    }
                }
                if bits > 0 {
                    characters[count] = alphabet[Int(buffer << (6 - bits) & 63)]
                    count += 1
                }
                return count
            }
        }
    }

    /// Nil for what `encode` never writes, so that each value has one spelling.
    static func decode(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8(decode)
    }

    private static func decode(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        let count = text.count
        // No bytes are no spelling but the empty one.
        guard count > 1 else { return count == 0 ? [] : nil }
        var isSpelledRight = true
        let bytes = [UInt8](unsafeUninitializedCapacity: count * 6 / 8) { bytes, filled in
            var (buffer, bits): (UInt32, UInt32) = (0, 0)
            for character in text {
                guard let value = value(of: character) else {
                    isSpelledRight = false
                    return
                }
                buffer = buffer << 6 | value
                bits += 6
                if bits >= 8 {
                    bits -= 8
                    bytes[filled] = UInt8(truncatingIfNeeded: buffer >> bits)
                    filled += 1
                }
            }
            isSpelledRight = bits < 6 && buffer & ((1 << bits) - 1) == 0
        }
        return isSpelledRight ? bytes : nil
    }

    private static func value(of character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character) + 4
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
