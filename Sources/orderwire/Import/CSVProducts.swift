import ProtoShop

/// The products of a CSV file. Columns may come in any order; those that are not known are left out.
struct CSVProducts: Sequence, IteratorProtocol {
    private static let known: Set<String> = ["id", "name", "category", "price", "currency", "stock", "description"]
    private static let required: Set<String> = ["id", "name", "category", "price"]
    private static let defaultCurrency = "USD"

    private var reader: CSVReader
    private let names: [String]

    /// Reads the line of names.
    init(_ bytes: [UInt8]) throws(UsageError) {
        reader = CSVReader(bytes)
        names = reader.next()?.fields.map { $0.lowercased() } ?? []
        let missing = Self.required.subtracting(names).sorted()
        guard missing.isEmpty else {
            throw UsageError(
                "The first line of a CSV file names its columns, and \(missing.joined(separator: ", ")) "
                    + "\(missing.count == 1 ? "is" : "are") missing. Known: \(Self.known.sorted().joined(separator: ", ")).")
        }
    }

    mutating func next() -> ProductFile.Row? {
        guard let record = reader.next() else { return nil }
        return ProductFile.Row(place: "line \(record.line)", product: product(record.fields))
    }

    private func product(_ fields: [String]) -> Result<Catalog.Product, UsageError> {
        guard fields.count == names.count else {
            return .failure(UsageError("\(fields.count) fields, where the first line names \(names.count)"))
        }
        let values = Dictionary(zip(names, fields), uniquingKeysWith: { first, _ in first })
        let currency = values["currency"] ?? Self.defaultCurrency
        guard let price = Catalog.Money(decimal: values["price"] ?? "", currency: currency) else {
            return .failure(UsageError("price: '\(values["price"] ?? "")' is no amount like 0.99"))
        }
        guard let stock = Int64(values["stock"] ?? "0") else {
            return .failure(UsageError("stock: '\(values["stock"] ?? "")' is no whole number"))
        }
        return .success(
            Catalog.Product(
                id: values["id"] ?? "", name: values["name"] ?? "", category: values["category"] ?? "", price: price,
                stock: stock, description: values["description"] ?? ""))
    }
}
