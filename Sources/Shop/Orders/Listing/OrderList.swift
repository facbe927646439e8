import MongoDB
import ProtoRuntime
import ProtoShop
import RPC

/// Which orders of a caller are listed. Those accepted last come first, always.
struct OrderList: Hashable, Sendable {
    /// Whose orders.
    var identity: String
    /// Only those that are parked.
    var isParked = false
    /// Only those in this state; nil: in any.
    var state: Orders.OrderState?
    /// Only those accepted at this time or later.
    var from: BSONDate?
    /// Only those accepted before this time.
    var before: BSONDate?
}

/// An order's place in a list. Times tie, ids do not.
struct OrderPosition: Hashable, Sendable {
    var acceptedAt: BSONDate
    var id: String
}

/// Which page of which orders is asked for, checked.
struct OrderPageRequest: Sendable, Equatable {
    var list: OrderList
    var size: Int
    /// The last order of the page before; nil: the first page.
    var after: OrderPosition?

    init(_ request: Orders.ListOrdersRequest, by identity: String, tokens: TokenSeal) throws(RPCError) {
        var violations = Violations()
        list = OrderList(identity: identity)
        switch request.state {
        case .unspecified: break
        case .accepted, .fulfilled, .rejected, .cancelled: list.state = request.state
        case .unrecognized(let number): violations.add("state", "\(number) is not known; must be unset, ACCEPTED, FULFILLED, REJECTED or CANCELLED")
        }
        list.from = Self.time(request.acceptedAfter, "accepted_after", &violations)
        list.before = Self.time(request.acceptedBefore, "accepted_before", &violations)
        if let from = list.from, let before = list.before, before < from {
            violations.add("accepted_before", "must not be before accepted_after")
        }
        size = Self.size(request.pageSize, &violations)
        try violations.check()
        after = try tokens.position(request.pageToken, in: list)
    }

    init(_ request: Orders.ListParkedOrdersRequest, by identity: String, tokens: TokenSeal) throws(RPCError) {
        var violations = Violations()
        list = OrderList(identity: identity, isParked: true)
        size = Self.size(request.pageSize, &violations)
        try violations.check()
        after = try tokens.position(request.pageToken, in: list)
    }

    private static func size(_ size: Int32, _ violations: inout Violations) -> Int {
        if size < 0 { violations.add("page_size", "must be 0 (for \(Limits.defaultPageSize)) to \(Limits.maxPageSize)") }
        return size == 0 ? Limits.defaultPageSize : min(Int(size), Limits.maxPageSize)
    }

    /// Orders have whole milliseconds, so those from, or before, any moment are those from, or before, the next whole one.
    private static func time(_ time: WellKnown.Timestamp?, _ field: String, _ violations: inout Violations) -> BSONDate? {
        guard let time else { return nil }
        guard Limits.timestampSeconds.contains(time.seconds), (0..<1_000_000_000).contains(time.nanos) else {
            violations.add(field, "must be a time of the years 1 to 9999")
            return nil
        }
        return BSONDate(millisecondsSince1970: time.seconds * 1000 + (Int64(time.nanos) + 999_999) / 1_000_000)
    }
}

// MARK: - Page tokens

extension TokenSeal {
    func seal(_ position: OrderPosition, in list: OrderList) -> String {
        var body: [UInt8] = []
        body.append(bigEndian: position.acceptedAt.millisecondsSince1970)
        body += position.id.utf8
        return seal(body, for: list.sealed)
    }

    /// Where the page begins that `token` stands for; nil without a token.
    fileprivate func position(_ token: String, in list: OrderList) throws(RPCError) -> OrderPosition? {
        guard !token.isEmpty else { return nil }
        let body = try open(token, for: list.sealed)
        return OrderPosition(
            acceptedAt: BSONDate(millisecondsSince1970: Int64(bigEndianBytes: body.prefix(8))), id: String(decoding: body.dropFirst(8), as: UTF8.self))
    }
}

extension OrderList {
    /// What a token is bound to: the whole list, its owner included. Begins like no other kind of list does.
    fileprivate var sealed: [UInt8] {
        var bytes = Array("orders".utf8)
        bytes.append(isParked ? 1 : 0)
        for number in [Int64(state?.rawValue ?? 0), from?.millisecondsSince1970 ?? .min, before?.millisecondsSince1970 ?? .max] {
            bytes.append(bigEndian: number)
        }
        return bytes + identity.utf8
    }
}
