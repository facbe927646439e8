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

// MARK: - Page tokens

/// What follows the first byte of a token's body.
private enum TokenForm: UInt8 {
    /// The key.
    case key = 2
    /// Count and stamp, eight bytes each, then the key.
    case rankAndKey = 3
}

extension TokenSeal {
    func seal(_ position: PagePosition, in list: ProductList) -> String {
        var body: [UInt8] = []
        body.reserveCapacity(17 + position.key.utf8.count)
        body.append((position.rank == nil ? TokenForm.key : TokenForm.rankAndKey).rawValue)
        if let rank = position.rank {
            body.append(bigEndian: rank.count)
            body.append(bigEndian: rank.stamp.value)
        }
        body += position.key.utf8
        return seal(body, for: list.sealed)
    }

    func position(_ token: String, in list: ProductList) throws(RPCError) -> PagePosition {
        let body = try open(token, for: list.sealed)
        let rest = body.dropFirst()
        switch body.first.flatMap(TokenForm.init) {
        case .key:
            return PagePosition(key: String(decoding: rest, as: UTF8.self))
        case .rankAndKey:
            guard rest.count > 16 else { throw Self.invalid }
            let rank = PagePosition.Rank(
                count: Int64(bigEndianBytes: rest.prefix(8)), stamp: CatalogStamp(value: Int64(bigEndianBytes: rest.dropFirst(8).prefix(8))))
            return PagePosition(key: String(decoding: rest.dropFirst(16), as: UTF8.self), rank: rank)
        case nil:
            throw Self.invalid
        }
    }
}

extension ProductList {
    /// What a token is bound to: the whole list. Its texts are folded, so that filters that find the same products may share tokens.
    fileprivate var sealed: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.typicalIdentityLength)
        appendIdentity(to: &bytes)
        return bytes
    }
}
