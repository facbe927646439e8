import MongoDB

/// A field that follows from other fields of a product: stored, so that an index can hold it.
struct ProductKey: Sendable, Equatable, CustomStringConvertible {
    enum Value: Sendable, Equatable {
        case text(String)
        case flag(Bool)
    }

    let name: FieldName
    let value: Value

    var description: String {
        switch value {
        case .text(let text): "\(name) \(text)"
        case .flag(let flag): "\(name) \(flag)"
        }
    }

    static func == (left: ProductKey, right: ProductKey) -> Bool {
        left.name.description == right.name.description && left.value == right.value
    }

    init(_ name: FieldName, _ value: Value) {
        self.name = name
        self.value = value
    }

    /// The field as it is stored in `row`; nil where it is missing or of another type.
    init?(_ name: FieldName, in row: DocumentView) {
        guard let stored = row.find(name) else { return nil }
        guard let value = stored.string.map(Value.text) ?? stored.bool.map(Value.flag) else { return nil }
        self.init(name, value)
    }

    func write(to document: inout DocumentBuilder) {
        switch value {
        case .text(let text): document.append(name, text)
        case .flag(let flag): document.append(name, flag)
        }
    }
}

extension ProductRecord {
    /// All fields that follow from others.
    var keys: [ProductKey] {
        [
            ProductKey("name_key", .text(nameKey)), ProductKey("category_key", .text(categoryKey)),
            ProductKey("price_key", .text(priceKey)), ProductKey("in_stock", .flag(stock > 0)),
        ]
    }

    /// Those of its keys that are stored otherwise in `row`.
    func wrongKeys(in row: DocumentView) -> [ProductKey] {
        keys.filter { ProductKey($0.name, in: row) != $0 }
    }
}
