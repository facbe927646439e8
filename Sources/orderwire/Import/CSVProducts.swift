import ProtoShop

/// The products of a CSV file. Columns may come in any order; those that are not known are left out.
struct CSVProducts: ProductRows {
    private enum Column: String, CaseIterable {
        case id, name, category, price, currency, stock, description

        var isRequired: Bool {
            switch self {
            case .id, .name, .category, .price: true
            case .currency, .stock, .description: false
            }
        }
    }

    private static let defaultCurrency = "USD"
    private static let nanosPerHundredth: Int32 = 10_000_000

    private var reader: CSVReader
    /// Columns that each record has.
    private let columnCount: Int
    /// Where each known column stands.
    private let columns: [Column: Int]

    let heading: [UInt8]
    var mark: ImportMark { ImportMark(offset: reader.input.offset, line: reader.line) }
    var extent: Int? { reader.input.identity?.size }

    /// Reads the line of names.
    init(_ input: InputBuffer, from mark: ImportMark?) throws(UsageError) {
        reader = CSVReader(input)
        var heading: [UInt8] = []
        let first = try reader.next { heading = Array($0) }
        switch first?.record {
        case .fields(let names): columns = try Self.columns(names)
        case .broken(let reason): throw UsageError("\(input.path): line 1, which names the columns: \(reason)")
        case .tooLong: throw UsageError("\(input.path): line 1, which names the columns, is too long")
        case nil: throw UsageError("\(input.path): empty, where a line that names the columns is expected")
        }
        columnCount = if case .fields(let names)? = first?.record { names.count } else { 0 }
        self.heading = heading + [UInt8(ascii: "\n")]
        if let mark {
            try input.seek(to: mark.offset)
            reader = CSVReader(input, line: mark.line)
        }
    }

    private static func columns(_ names: [String]) throws(UsageError) -> [Column: Int] {
        var columns: [Column: Int] = [:]
        for (index, name) in names.enumerated() {
            guard let column = Column(rawValue: name.lowercased()) else { continue }
            guard columns.updateValue(index, forKey: column) == nil else { throw UsageError("The column \(column) is named twice.") }
        }
        let missing = Column.allCases.filter { $0.isRequired && columns[$0] == nil }.map(\.rawValue)
        guard missing.isEmpty else {
            throw UsageError(
                "The first line of a CSV file names its columns, and \(missing.joined(separator: ", ")) "
                    + "\(missing.count == 1 ? "is" : "are") missing. Known: \(Column.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        return columns
    }

    mutating func next() throws(UsageError) -> ProductRow? {
        var text: [UInt8] = []
        guard let (line, record) = try reader.next({ text = Array($0) }) else { return nil }
        switch record {
        case .fields(let fields): return ProductRow(place: .line(line), text: text, product: product(fields))
        case .broken(let reason): return ProductRow(place: .line(line), text: text, product: .failure(UsageError(reason)))
        case .tooLong: return .tooLong(.line(line))
        }
    }

    mutating func skipRow(_ body: (UnsafeBufferPointer<UInt8>) throws -> Void) throws { try reader.skipLine(body) }

    private func product(_ fields: [String]) -> Result<Catalog.Product, UsageError> {
        guard fields.count == columnCount else {
            return .failure(UsageError("\(fields.count) fields, where the first line names \(columnCount)"))
        }
        func value(_ column: Column, else fallback: String = "") -> String { columns[column].map { fields[$0] } ?? fallback }
        let amount = value(.price)
        guard let price = Catalog.Money(decimal: amount, currency: value(.currency, else: Self.defaultCurrency)) else {
            return .failure(UsageError("price: '\(amount.shortened)' is no amount like 0.99"))
        }
        guard price.nanos % Self.nanosPerHundredth == 0 else {
            return .failure(UsageError("price: '\(amount.shortened)' is finer than a hundredth"))
        }
        let pieces = value(.stock, else: "0")
        guard let stock = Int64(pieces) else { return .failure(UsageError("stock: '\(pieces.shortened)' is no whole number")) }
        return .success(
            Catalog.Product(
                id: value(.id), name: value(.name), category: value(.category), price: price, stock: stock, description: value(.description)))
    }
}

extension String {
    /// The beginning of a text that may be of any length, for a message.
    fileprivate var shortened: String { unicodeScalars.count > 40 ? String(String.UnicodeScalarView(unicodeScalars.prefix(40))) + "..." : self }
}
