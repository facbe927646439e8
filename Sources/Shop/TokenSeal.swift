import RPC

/// Makes and opens page tokens: opaque, authenticated, and good only for the list that they were made for.
///
/// The key comes from the database, so that a restarted server, or another one, opens what this one made.
struct TokenSeal: Sendable {
    private let hmac: PreparedHMAC

    /// Bytes of the key, and of the authentication code that is kept of each token.
    static let keyLength = 32
    private static let codeLength = 16

    init(key: [UInt8]) { hmac = PreparedHMAC(key: key) }

    /// A token that holds `body`, and is good for `list` only, which it does not hold. Different kinds of lists begin differently.
    func seal(_ body: [UInt8], for list: [UInt8]) -> String {
        var token: [UInt8] = []
        token.reserveCapacity(Self.codeLength + body.count)
        code(of: body[...], list).withUnsafeBytes { token.append(contentsOf: $0.prefix(Self.codeLength)) }
        token += body
        return Base64URL.encode(token)
    }

    /// The body of a token that was made for `list`.
    func open(_ token: String, for list: [UInt8]) throws(RPCError) -> ArraySlice<UInt8> {
        guard token.utf8.count <= Limits.maxPageTokenLength, let bytes = Base64URL.decode(token), bytes.count > Self.codeLength
        else { throw Self.invalid }
        let body = bytes[Self.codeLength...]
        let difference = code(of: body, list).withUnsafeBytes { code in
            // In the same time wherever it differs.
            var difference: UInt8 = 0
            for index in 0..<Self.codeLength { difference |= code[index] ^ bytes[index] }
            return difference
        }
        guard difference == 0 else { throw Self.invalid }
        return body
    }

    private func code(of body: ArraySlice<UInt8>, _ list: [UInt8]) -> PreparedHMAC.Code {
        var covered: [UInt8] = []
        covered.reserveCapacity(8 + list.count + body.count)
        // The length first, so that no two pairs of a list and a body have the same bytes.
        covered.append(bigEndian: Int64(list.count))
        covered += list
        body.withUnsafeBufferPointer { covered.append(contentsOf: $0) }
        return hmac.code(of: covered)
    }

    static let invalid = RPCError(
        .invalidArgument, reason: "PAGE_TOKEN_INVALID",
        "the page token was not made by this service for this filter and order; start again from the first page",
        disposition: .notExecuted)
}
