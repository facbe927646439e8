import Crypto
import RPC

/// The last product of a page: what the next page starts after.
enum PagePosition: Sendable, Equatable {
    case name(sortKey: String)
    case price(minor: Int64, id: String)
}

/// Makes and opens page tokens: opaque, authenticated, and good only for the order and filter that they were made for.
///
/// The key comes from the database, so that a restarted server, or another one, opens what this one made.
struct PageTokens: Sendable {
    private let key: SymmetricKey

    /// Bytes of the key, and of the authentication code that is kept of each token.
    static let keyLength = 32
    private static let codeLength = 16
    private static let version: UInt8 = 1

    init(key: [UInt8]) { self.key = SymmetricKey(data: key) }

    func seal(_ position: PagePosition, order: ProductOrder, category: String) -> String {
        var body = [Self.version]
        switch position {
        case .name(let sortKey):
            body += Array(sortKey.utf8)
        case .price(let minor, let id):
            for shift in stride(from: 56, through: 0, by: -8) { body.append(UInt8(truncatingIfNeeded: minor >> Int64(shift))) }
            body += Array(id.utf8)
        }
        return Base64URL.encode(code(of: body, order, category) + body)
    }

    func open(_ token: String, order: ProductOrder, category: String) throws(RPCError) -> PagePosition {
        guard token.utf8.count <= Limits.maxPageTokenLength, let bytes = Base64URL.decode(token),
            bytes.count > Self.codeLength + 1
        else { throw Self.invalid }
        let body = Array(bytes[Self.codeLength...])
        let given = bytes[..<Self.codeLength]
        guard Self.isEqualInConstantTime(given, code(of: body, order, category)), body[0] == Self.version else { throw Self.invalid }
        switch order.key {
        case .name:
            return .name(sortKey: String(decoding: body[1...], as: UTF8.self))
        case .price:
            guard body.count > 9 else { throw Self.invalid }
            let minor = body[1..<9].reduce(Int64(0)) { $0 << 8 | Int64($1) }
            return .price(minor: minor, id: String(decoding: body[9...], as: UTF8.self))
        }
    }

    /// The code covers what the token is bound to, though the token does not hold it. The category is folded first: filters
    /// that find the same products may share tokens.
    private func code(of body: [UInt8], _ order: ProductOrder, _ category: String) -> [UInt8] {
        var authentication = HMAC<SHA256>(key: key)
        authentication.update(data: [order.rawValue] + Array(ProductKeys.categoryKey(category).utf8) + [0])
        authentication.update(data: body)
        return Array(authentication.finalize().prefix(Self.codeLength))
    }

    private static func isEqualInConstantTime(_ left: ArraySlice<UInt8>, _ right: [UInt8]) -> Bool {
        left.count == right.count && zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private static let invalid = RPCError(
        .invalidArgument, reason: "PAGE_TOKEN_INVALID",
        "the page token was not made by this service for this filter and order; start again from the first page",
        disposition: .notExecuted)
}

/// Base64 with the alphabet for URLs (RFC 4648, section 5), without padding.
enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var characters: [UInt8] = []
        var (buffer, bits): (UInt32, UInt32) = (0, 0)
        for byte in bytes {
            buffer = buffer << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                characters.append(alphabet[Int(buffer >> bits & 63)])
            }
        }
        if bits > 0 { characters.append(alphabet[Int(buffer << (6 - bits) & 63)]) }
        return String(decoding: characters, as: UTF8.self)
    }

    /// Nil for what `encode` never writes, so that each value has one spelling.
    static func decode(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var (buffer, bits): (UInt32, UInt32) = (0, 0)
        for character in text.utf8 {
            guard let value = value(of: character) else { return nil }
            buffer = buffer << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: buffer >> bits))
            }
        }
        return bits < 6 && buffer & ((1 << bits) - 1) == 0 ? bytes : nil
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
