import ProtoShop
import RPC

/// Which page of the products is asked for, checked.
struct PageRequest: Sendable, Equatable {
    enum Start: Sendable, Equatable {
        /// The page with this number, from 1.
        case number(Int64)
        /// The products after this position.
        case after(PagePosition)
    }

    var category: String
    var order: ProductOrder
    var size: Int64
    var start: Start

    /// Checks `request` as a whole, and throws all that is wrong with it.
    init(_ request: Catalog.ListProductsRequest, tokens: PageTokens) throws(RPCError) {
        var violations = Violations()
        violations.checkText(request.category, "category", isRequired: false, maxLength: Limits.maxCategoryLength)
        let order = ProductOrder(orderBy: request.orderBy)
        if order == nil { violations.add("order_by", "must be \(ProductOrder.allowed)") }
        if request.pageSize < 0 { violations.add("page_size", "must be 0 (for \(Limits.defaultPageSize)) to \(Limits.maxPageSize)") }
        if request.page < 0 { violations.add("page", "must be at least 1, or 0 for 1") }
        if request.page != 0 && !request.pageToken.isEmpty { violations.add("page_token", "must not be set together with page") }
        try violations.check()

        category = request.category
        self.order = order ?? .name
        size = request.pageSize == 0 ? Int64(Limits.defaultPageSize) : Int64(min(Int(request.pageSize), Limits.maxPageSize))
        if request.pageToken.isEmpty {
            start = .number(max(1, Int64(request.page)))
        } else {
            start = .after(try tokens.open(request.pageToken, order: self.order, category: category))
        }
    }
}

/// Where a page lies in the products that match.
struct PageWindow: Sendable, Equatable {
    /// Products before the page, from the end that the database starts at.
    var skip: Int64
    /// Products on it.
    var count: Int64
    /// Whether the database starts at the end, because that is nearer.
    var fromEnd: Bool
    /// Whether products follow it.
    var hasMore: Bool

    /// The page with number `number` of `size` products, out of `total`.
    init(number: Int64, size: Int64, total: Int64) {
        // No overflow: both come from int32.
        let first = (number - 1) * size
        count = max(0, min(size, total - first))
        hasMore = first + count < total && count > 0
        let after = max(0, total - first - count)
        fromEnd = first > after
        skip = fromEnd ? after : first
    }

    /// Pages of `size` that `total` products make.
    static func pageCount(total: Int64, size: Int64) -> Int64 { (total + size - 1) / size }
}
