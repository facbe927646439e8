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
