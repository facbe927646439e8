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
    private let authenticator: Authenticator

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

    init(key: [UInt8]) { authenticator = Authenticator(key: key) }

    func seal(_ position: PagePosition, list: ProductList) -> String {
        var token = [UInt8](repeating: 0, count: Self.codeLength)
        token.reserveCapacity(Self.codeLength + 17 + position.key.utf8.count)
        token.append((position.rank == nil ? Form.key : Form.rankAndKey).rawValue)
        if let rank = position.rank {
            token.append(bigEndian: rank.count)
            token.append(bigEndian: rank.stamp.value)
        }
        token += position.key.utf8
        let code = code(of: token, list)
        code.withUnsafeBytes { code in
            for index in 0..<Self.codeLength { token[index] = code[index] }
        }
        return Base64URL.encode(token)
    }

    func open(_ token: String, list: ProductList) throws(RPCError) -> PagePosition {
        guard token.utf8.count <= Limits.maxPageTokenLength, let token = Base64URL.decode(token), token.count > Self.codeLength + 1 else {
            throw Self.invalid
        }
        guard hasItsCode(token, list), let form = Form(rawValue: token[Self.codeLength]) else { throw Self.invalid }
        let rest = token[(Self.codeLength + 1)...]
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
    private func code(of token: [UInt8], _ list: ProductList) -> SHA256Digest {
        var covered: [UInt8] = []
        covered.reserveCapacity(ProductList.typicalIdentityLength + token.count)
        list.appendIdentity(to: &covered)
        token.withUnsafeBufferPointer { covered.append(contentsOf: $0[Self.codeLength...]) }
        return authenticator.code(of: covered)
    }

    /// Whether the code that a token begins with is its own: found out in the same time wherever it differs.
    private func hasItsCode(_ token: [UInt8], _ list: ProductList) -> Bool {
        let code = code(of: token, list)
        return code.withUnsafeBytes { code in
            var difference: UInt8 = 0
            for index in 0..<Self.codeLength { difference |= code[index] ^ token[index] }
            return difference == 0
        }
    }

    private static let invalid = RPCError(
        .invalidArgument, reason: "PAGE_TOKEN_INVALID",
        "the page token was not made by this service for this filter and order; start again from the first page",
        disposition: .notExecuted)
}

/// HMAC with SHA-256 (RFC 2104) under one key, which is half of the work and done once. The library's own takes it in anew for each
/// code, and is generic code that is not specialized outside of its module: it cost a tenth of a page.
struct Authenticator: Sendable {
    /// Each has taken in the key.
    private let inner: SHA256
    private let outer: SHA256

    /// - Parameter key: not longer than a block of the hash.
    init(key: [UInt8]) {
        precondition(key.count <= SHA256.blockByteCount, "a longer key would have to be hashed first")
        inner = Self.begun(key, 0x36)
        outer = Self.begun(key, 0x5C)
    }

    private static func begun(_ key: [UInt8], _ pad: UInt8) -> SHA256 {
        var block = [UInt8](repeating: pad, count: SHA256.blockByteCount)
        for (index, byte) in key.enumerated() { block[index] ^= byte }
        var hash = SHA256()
        block.withUnsafeBytes { hash.update(bufferPointer: $0) }
        return hash
    }

    func code(of bytes: [UInt8]) -> SHA256Digest {
        var (inner, outer) = (inner, outer)
        bytes.withUnsafeBytes { inner.update(bufferPointer: $0) }
        inner.finalize().withUnsafeBytes { outer.update(bufferPointer: $0) }
        return outer.finalize()
    }
}

extension Int64 {
    fileprivate init(bigEndianBytes bytes: ArraySlice<UInt8>) {
        self = bytes.reduce(Int64(0)) { $0 << 8 | Int64($1) }
    }
}
