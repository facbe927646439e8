import ProtoShop
import RPC

/// Which page of which products is asked for, checked.
struct PageRequest: Sendable, Equatable {
    enum Start: Sendable, Equatable {
        /// The page with this number, from 1.
        case number(Int64)
        /// The products after this position.
        case after(PagePosition)
    }

    var list: ProductList
    var size: Int64
    var start: Start
    var totalMode: Catalog.TotalMode

    /// Checks `request` as a whole, and throws all that is wrong with it.
    init(_ request: Catalog.ListProductsRequest, tokens: TokenSeal) throws(RPCError) {
        var violations = Violations()
        violations.checkText(request.category, "category", isRequired: false, maxLength: Limits.maxCategoryLength)
        violations.checkText(request.namePrefix, "name_prefix", isRequired: false, maxLength: Limits.maxNameLength)
        list = ProductList(category: ProductKeys.categoryKey(request.category), inStockOnly: request.inStockOnly)
        if let order = ProductOrder(orderBy: request.orderBy) {
            list.order = order
            list.range = Self.range(request, order.key, &violations)
        } else {
            violations.add("order_by", "there is no such order; allowed are: \(QueryShape.allowed)")
        }
        if request.pageSize < 0 { violations.add("page_size", "must be 0 (for \(Limits.defaultPageSize)) to \(Limits.maxPageSize)") }
        if request.page < 0 { violations.add("page", "must be at least 1, or 0 for 1") }
        if request.page != 0 && !request.pageToken.isEmpty { violations.add("page_token", "must not be set together with page") }
        if case .unrecognized = request.totalMode { violations.add("total_mode", "must be unset, EXACT or NONE") }
        try violations.check()

        totalMode = request.totalMode
        size = request.pageSize == 0 ? Int64(Limits.defaultPageSize) : Int64(min(Int(request.pageSize), Limits.maxPageSize))
        if request.pageToken.isEmpty {
            start = .number(max(1, Int64(request.page)))
        } else {
            start = .after(try tokens.position(request.pageToken, in: list))
        }
    }

    /// Products before the page, as far as they may have to be passed over.
    private var skip: Int64 {
        // No overflow: both come from int32.
        if case .number(let number) = start { (number - 1) * size } else { 0 }
    }

    private var isToBeCounted: Bool { totalMode == .exact && !list.isCounted }

    /// Whether nothing but its rows has to be asked for, and those can be read by one command with the rows of other pages of its shape.
    var isReadTogether: Bool {
        list.shape.isReadTogether && size <= Limits.maxPageSizeTogether && skip <= Limits.maxUnlearnedSkip && !isToBeCounted
    }

    /// Products that are looked at, at the most, or more than there are.
    var reach: Int64 { isToBeCounted ? .max : skip + size }

    /// The part of the keys that is asked for. What does not go with the order is refused: no index serves it.
    private static func range(
        _ request: Catalog.ListProductsRequest, _ key: ProductOrder.Key, _ violations: inout Violations
    ) -> KeyRange {
        let isSet = [("max_price", request.maxPrice != nil), ("min_price", request.minPrice != nil), ("name_prefix", !request.namePrefix.isEmpty)]
        for (field, isSet) in isSet where isSet && !key.rangeFields.contains(field) {
            violations.add(field, "does not go with the order by \(key.rawValue); allowed are: \(QueryShape.allowed)")
        }
        switch key {
        case .name: return KeyRange(namePrefix: request.namePrefix)
        case .price: return prices(request, &violations)
        }
    }

    private static func prices(_ request: Catalog.ListProductsRequest, _ violations: inout Violations) -> KeyRange {
        let low = request.minPrice.flatMap { MinorAmount($0, field: "min_price", &violations) }
        let high = request.maxPrice.flatMap { MinorAmount($0, field: "max_price", &violations) }
        guard let currency = low?.currency ?? high?.currency else { return .all }
        if let low, let high {
            if low.currency != high.currency { violations.add("max_price.currency_code", "must be that of min_price") }
            if low.minor > high.minor { violations.add("max_price", "must not be less than min_price") }
        }
        return KeyRange(currency: currency, from: low?.minor, through: high?.minor)
    }
}
