import Crypto

/// The id of an order: 26 characters of base32, made of 128 bits of SHA-256(identity, 0x1F, idempotency key).
///
/// It follows from who submits what, so that the primary key is also what makes a key unique, and a client that could not
/// hear the answer can compute the id and look.
enum OrderID {
    /// No identity and no key holds 0x1F, so that no two pairs are hashed alike.
    private static let separator: UInt8 = 0x1F

    /// Characters of an id.
    static let length = 26

    static func make(identity: String, key: String) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(identity.utf8.count + 1 + key.utf8.count)
        text += identity.utf8
        text.append(separator)
        text += key.utf8
        return SHA256.hash(data: text).withUnsafeBytes { Base32.encode($0.prefix(16)) }
    }

    /// Whether `id` could be one. What could not need not be looked for.
    static func isValid(_ id: String) -> Bool {
        id.utf8.count == length && id.utf8.allSatisfy(Base32.alphabet.contains)
    }
}

/// Base32 of RFC 4648, without padding.
enum Base32 {
    static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

    static func encode(_ bytes: some Collection<UInt8>) -> String {
        let alphabet = Self.alphabet
        var characters: [UInt8] = []
        characters.reserveCapacity((bytes.count * 8 + 4) / 5)
        var (buffer, bits): (UInt32, UInt32) = (0, 0)
        for byte in bytes {
            buffer = buffer << 8 | UInt32(byte)
            bits += 8
            while bits >= 5 {
                bits -= 5
                characters.append(alphabet[Int(buffer >> bits & 31)])
            }
        }
        if bits > 0 { characters.append(alphabet[Int(buffer << (5 - bits) & 31)]) }
        return String(decoding: characters, as: UTF8.self)
    }
}
