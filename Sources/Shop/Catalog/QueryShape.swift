import MongoDB

/// A combination of filters and order in which products can be listed.
///
/// The table of all shapes is what is served, each by an index of its own. Filters, sorting, hints, the indexes themselves, the
/// message for everything else and a table in the documentation come from it.
struct QueryShape: Hashable, Sendable {
    /// What is sorted by.
    var key: ProductOrder.Key
    /// Whether only products of some categories are listed.
    var hasCategory: Bool
    /// Whether only products in stock are listed.
    var inStockOnly: Bool

    static let table = [false, true].flatMap { inStockOnly in
        [false, true].flatMap { hasCategory in
            ProductOrder.Key.allCases.map { QueryShape(key: $0, hasCategory: hasCategory, inStockOnly: inStockOnly) }
        }
    }

    /// Whether its index is the only one that can serve it, as nothing is compared for equality: then no hint is needed.
    var isReadTogether: Bool { !hasCategory && !inStockOnly }

    /// As in "in_stock_by_category_and_name".
    var indexName: String {
        (inStockOnly ? "in_stock_by_" : "by_") + (hasCategory ? "category_and_" : "") + key.rawValue
    }

    /// What is compared for equality comes first and what is sorted by last, so that the index alone finds, sorts and skips.
    ///
    /// Products out of stock are not in the indexes of those in stock, which thus change only when the last piece goes or the first
    /// one comes. The flag is a key there all the same: what the keys decide, MongoDB does not look up in the documents again.
    var index: Index {
        let keys = Document { document in
            if inStockOnly { document.append(Self.inStock, 1) }
            if hasCategory { document.append(Self.categoryKey, 1) }
            document.append(key.field, 1)
        }
        return Index(
            indexName, keys: keys, partialFilter: inStockOnly ? Document { $0.append(Self.inStock, true) } : nil)
    }

    func sort(isDescending: Bool) -> Document {
        Document { $0.append(key.field, isDescending ? -1 : 1) }
    }

    /// What all products of the shape have in common, and what those of one of `categoryKeys` have: to be completed by a
    /// condition on the sort key.
    func filter(categoryKeys: [String]?, _ document: inout DocumentBuilder) {
        if inStockOnly { document.append(Self.inStock, true) }
        guard let categoryKeys else { return }
        if categoryKeys.count == 1 {
            document.append(Self.categoryKey, categoryKeys[0])
        } else {
            document.document(Self.categoryKey) { $0.append("$in", categoryKeys) }
        }
    }

    private static let inStock: FieldName = "in_stock"
    private static let categoryKey: FieldName = "category_key"
}

// MARK: - For people

extension QueryShape {
    /// The table in a sentence, for the message that refuses everything else.
    static let allowed = ProductOrder.Key.allCases.map { key in
        let orders = ProductOrder.allCases.filter { $0.key == key }.map { "\"\($0.text)\"" }.joined(separator: " or ")
        return "order_by \(orders) with any of \((filters(with: key)).joined(separator: ", "))"
    }.joined(separator: "; ")

    /// The fields of a request that may be set together with an order by `key`.
    private static func filters(with key: ProductOrder.Key) -> [String] {
        let shapes = table.filter { $0.key == key }
        return (shapes.contains { $0.hasCategory } ? ["category"] : []) + (shapes.contains { $0.inStockOnly } ? ["in_stock_only"] : [])
            + key.rangeFields
    }

    /// The table as it stands in docs/data-model.md.
    static let documentation = """
        | category | in_stock_only | order_by | range | index | keys |
        |---|---|---|---|---|---|

        """ + table.map { shape in
            let orders = ProductOrder.allCases.filter { $0.key == shape.key }.map { "`\($0.text)`" }.joined(separator: ", ")
            let keys = (shape.inStockOnly ? ["in_stock"] : []) + (shape.hasCategory ? ["category_key"] : []) + [shape.key.field.description]
            return [
                shape.hasCategory ? "yes" : "-", shape.inStockOnly ? "yes" : "-", orders,
                shape.key.rangeFields.map { "`\($0)`" }.joined(separator: ", "), "`\(shape.indexName)`", "`\(keys.joined(separator: ", "))`",
            ].reduce("|") { "\($0) \($1) |" } + "\n"
        }.joined()
}
