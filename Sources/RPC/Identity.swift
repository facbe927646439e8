/// Who is calling: `[a-z0-9][a-z0-9._-]{0,63}`. Proved by a key where keys are used, otherwise what the client claims.
public struct Identity: Sendable, Hashable, CustomStringConvertible {
    /// The name itself.
    public let name: String

    /// The longest name, in bytes.
    public static let maxLength = 64

    /// The grammar, for messages.
    public static let grammar = "[a-z0-9][a-z0-9._-]{0,63}"

    /// An identity, or nil where `name` breaks the grammar.
    public init?(_ name: String) {
        guard Self.isValid(name) else { return nil }
        self.name = name
    }

    /// Whether `name` follows the grammar. Names of subscription groups follow it, too.
    public static func isValid(_ name: String) -> Bool {
        let bytes = name.utf8
        guard let first = bytes.first, bytes.count <= maxLength, isLetterOrDigit(first) else { return false }
        return bytes.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    public var description: String { name }
}
