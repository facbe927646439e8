/// The orders in which products can be listed: the allowed table, each with its index.
enum ProductOrder: UInt8, Sendable, CaseIterable {
    case name = 1
    case nameDescending = 2
    case price = 3
    case priceDescending = 4

    /// Reads `order_by`; nil where it is not in the table.
    init?(orderBy: String) {
        switch orderBy.split(separator: " ", omittingEmptySubsequences: true) {
        case [], ["name"], ["name", "asc"]: self = .name
        case ["name", "desc"]: self = .nameDescending
        case ["price"], ["price", "asc"]: self = .price
        case ["price", "desc"]: self = .priceDescending
        default: return nil
        }
    }

    static let allowed = "\"name\", \"name desc\", \"price\" or \"price desc\""

    enum Key: Sendable { case name, price }

    var key: Key {
        switch self {
        case .name, .nameDescending: .name
        case .price, .priceDescending: .price
        }
    }

    var isDescending: Bool { self == .nameDescending || self == .priceDescending }
}
