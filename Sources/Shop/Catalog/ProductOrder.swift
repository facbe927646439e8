import MongoDB

/// The orders in which products can be listed.
enum ProductOrder: UInt8, Sendable, CaseIterable {
    case name = 1
    case nameDescending = 2
    case price = 3
    case priceDescending = 4

    /// Reads `order_by`; nil where there is no such order.
    init?(orderBy: String) {
        switch orderBy.split(separator: " ", omittingEmptySubsequences: true) {
        case [], ["name"], ["name", "asc"]: self = .name
        case ["name", "desc"]: self = .nameDescending
        case ["price"], ["price", "asc"]: self = .price
        case ["price", "desc"]: self = .priceDescending
        default: return nil
        }
    }

    /// As in `order_by`.
    var text: String { key.rawValue + (isDescending ? " desc" : "") }

    /// What products are sorted by.
    enum Key: String, Sendable, CaseIterable {
        case name, price

        /// The field that holds it.
        var field: FieldName {
            switch self {
            case .name: "name_key"
            case .price: "price_key"
            }
        }

        /// The fields of a request that narrow a list that is sorted by it.
        var rangeFields: [String] {
            switch self {
            case .name: ["name_prefix"]
            case .price: ["min_price", "max_price"]
            }
        }
    }

    var key: Key {
        switch self {
        case .name, .nameDescending: .name
        case .price, .priceDescending: .price
        }
    }

    var isDescending: Bool { self == .nameDescending || self == .priceDescending }
}
