import Crypto
import RPC

/// The last product of a page: what the next page starts after.
struct PagePosition: Sendable, Equatable {
    /// Its sort key.
    var key: String
    /// How many products the list has up to it, where that is known.
    var rank: Rank?

    /// A number of products, as it is while the catalogue has this stamp.
    struct Rank: Sendable, Equatable {
        var count: Int64
        var stamp: CatalogStamp
    }
}

/// Makes and opens page tokens: opaque, authenticated, and good only for the list that they were made for.
///
/// The key comes from the database, so that a restarted server, or another one, opens what this one made.
struct PageTokens: Sendable {
    private let key: SymmetricKey

    /// Bytes of the key, and of the authentication code that is kept of each token.
    static let keyLength = 32
    private static let codeLength = 16

    /// What follows the code: the form of the rest.
    private enum Form: UInt8 {
        /// The key.
        case key = 2
        /// Count and stamp, eight bytes each, then the key.
        case rankAndKey = 3
    }

    init(key: [UInt8]) { self.key = SymmetricKey(data: key) }

    func seal(_ position: PagePosition, list: ProductList) -> String {
        var body = [(position.rank == nil ? Form.key : Form.rankAndKey).rawValue]
        if let rank = position.rank {
            body.append(bigEndian: rank.count)
            body.append(bigEndian: rank.stamp.value)
        }
        body += position.key.utf8
        return Base64URL.encode(code(of: body, list) + body)
    }

    func open(_ token: String, list: ProductList) throws(RPCError) -> PagePosition {
        guard token.utf8.count <= Limits.maxPageTokenLength, let bytes = Base64URL.decode(token), bytes.count > Self.codeLength + 1 else {
            throw Self.invalid
        }
        let body = bytes[Self.codeLength...]
        guard Self.isEqualInConstantTime(bytes[..<Self.codeLength], code(of: Array(body), list)), let form = Form(rawValue: body[body.startIndex])
        else { throw Self.invalid }
        let rest = body.dropFirst()
        switch form {
        case .key:
            return PagePosition(key: String(decoding: rest, as: UTF8.self))
        case .rankAndKey:
            guard rest.count > 16 else { throw Self.invalid }
            let rank = PagePosition.Rank(
                count: Int64(bigEndianBytes: rest.prefix(8)), stamp: CatalogStamp(value: Int64(bigEndianBytes: rest.dropFirst(8).prefix(8))))
            return PagePosition(key: String(decoding: rest.dropFirst(16), as: UTF8.self), rank: rank)
        }
    }

    /// The code covers what the token is bound to, though the token does not hold it: the whole list. Its texts are folded, so
    /// that filters that find the same products may share tokens.
    private func code(of body: [UInt8], _ list: ProductList) -> [UInt8] {
        var bound: [UInt8] = [list.order.rawValue, list.inStockOnly ? 1 : 0]
        for text in [list.category, list.range.lower, list.range.upper] {
            // The length first, so that no two lists have the same bytes.
            bound.append(bigEndian: Int64(text?.utf8.count ?? -1))
            bound += (text ?? "").utf8
        }
        var authentication = HMAC<SHA256>(key: key)
        authentication.update(data: bound)
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

extension [UInt8] {
    fileprivate mutating func append(bigEndian value: Int64) {
        for shift in stride(from: 56, through: 0, by: -8) { append(UInt8(truncatingIfNeeded: value >> Int64(shift))) }
    }
}

extension Int64 {
    fileprivate init(bigEndianBytes bytes: ArraySlice<UInt8>) {
        self = bytes.reduce(Int64(0)) { $0 << 8 | Int64($1) }
    }
}

