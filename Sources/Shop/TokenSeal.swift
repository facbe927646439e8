import Crypto
import RPC

/// Makes and opens page tokens: opaque, authenticated, and good only for the list that they were made for.
///
/// The key comes from the database, so that a restarted server, or another one, opens what this one made.
struct TokenSeal: Sendable {
    /// Has taken in the key: each code begins with a copy, as the key is half of the work.
    private let keyed: HMAC<SHA256>

    /// Bytes of the key, and of the authentication code that is kept of each token.
    static let keyLength = 32
    private static let codeLength = 16

    init(key: [UInt8]) { keyed = HMAC(key: SymmetricKey(data: key)) }

    /// A token that holds `body`, and is good for `list` only, which it does not hold.
    func seal(_ body: [UInt8], for list: [UInt8]) -> String {
        Base64URL.encode(code(of: body[...], list).prefix(Self.codeLength) + body)
    }

    /// The body of a token that was made for `list`.
    func open(_ token: String, for list: [UInt8]) throws(RPCError) -> ArraySlice<UInt8> {
        guard token.utf8.count <= Limits.maxPageTokenLength, let bytes = Base64URL.decode(token), bytes.count > Self.codeLength
        else { throw Self.invalid }
        let body = bytes[Self.codeLength...]
        // In the same time wherever it differs.
        let difference = zip(bytes, code(of: body, list).prefix(Self.codeLength)).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) }
        guard difference == 0 else { throw Self.invalid }
        return body
    }

    private func code(of body: ArraySlice<UInt8>, _ list: [UInt8]) -> HMAC<SHA256>.MAC {
        var authentication = keyed
        // The length first, so that no two pairs of a list and a body have the same bytes.
        authentication.update(data: Int64(list.count).bigEndianBytes + list)
        authentication.update(data: body)
        return authentication.finalize()
    }
}

extension TokenSeal {
    static let invalid = RPCError(
        .invalidArgument, reason: "PAGE_TOKEN_INVALID",
        "the page token was not made by this service for this filter and order; start again from the first page",
        disposition: .notExecuted)
}

extension Int64 {
    /// Eight bytes, the highest first.
    var bigEndianBytes: [UInt8] { Swift.withUnsafeBytes(of: bigEndian) { Array($0) } }

    /// Reads what `bigEndianBytes` wrote.
    init(fromBigEndian bytes: ArraySlice<UInt8>) { self = bytes.reduce(Int64(0)) { $0 << 8 | Int64($1) } }
}
