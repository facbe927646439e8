/// Which products are listed, and in which order. Equal lists have equal pages.
struct ProductList: Hashable, Sendable {
    /// Folded text that the products' categories contain; empty: all products.
    var category: String = ""
    var inStockOnly = false
    var range = KeyRange.all
    var order = ProductOrder.name

    /// Its row in the table.
    var shape: QueryShape {
        QueryShape(key: order.key, hasCategory: !category.isEmpty, inStockOnly: inStockOnly)
    }

    /// Whether the categories' counts tell how many products it has.
    var isCounted: Bool { !inStockOnly && range == .all }

    /// Whether it stays the same as long as the catalogue's stamp does, which a change of stock leaves as it is.
    var isStamped: Bool { !inStockOnly }
}

// MARK: - What is in it

extension ProductList {
    /// Whether a product that lies there is in the list, stock left aside.
    func holds(_ place: ProductPlace) -> Bool {
        let key = place.key(order.key)
        if let lower = range.lower, key.isBefore(lower) { return false }
        if let upper = range.upper, !key.isBefore(upper) { return false }
        return category.isEmpty || place.category.utf8.contains(category.utf8)
    }
}

extension String {
    /// Whether it comes first as the database compares texts: byte by byte.
    func isBefore(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }
}

// MARK: - As bytes

extension ProductList {
    /// Adds bytes that are the same for no other list.
    func appendIdentity(to bytes: inout [UInt8]) {
        bytes.append(order.rawValue)
        bytes.append(inStockOnly ? 1 : 0)
        bytes.append(text: category)
        bytes.append(text: range.lower)
        bytes.append(text: range.upper)
    }

    /// What a list without filters adds, and some more.
    static let typicalIdentityLength = 64
}

extension [UInt8] {
    /// The length first, so that no two lists of texts have the same bytes; nil is none of them.
    mutating func append(text: String?) {
        guard var text else { return append(bigEndian: -1) }
        append(bigEndian: Int64(text.utf8.count))
        text.withUTF8 { append(contentsOf: $0) }
    }
}
