import ArgumentParser
import ProtoShop
import Protobuf

/// A file of products, in one of two forms.
struct ProductFile {
    enum Format: String, CaseIterable, ExpressibleByArgument {
        /// A product as ProtoJSON on each line.
        case jsonl
        /// A line of names, then a product a line.
        case csv
    }

    /// A row of the file: a product, or why it is none.
    struct Row {
        /// Where it stands, as in "line 12".
        let place: String
        let product: Result<Catalog.Product, UsageError>
    }

    /// The rows, read as they are asked for.
    let rows: AnySequence<Row>
    /// How many there are, about.
    let count: Int

    /// Reads `path`, "-" for standard input. Without a format, the name and the first byte tell it.
    init(path: String, format: Format?) throws(UsageError) {
        let bytes = try InputFile.read(path)
        switch format ?? Self.format(of: path, bytes) {
        case .jsonl:
            rows = AnySequence(Self.jsonLines(bytes))
            count = bytes.reduce(bytes.last == UInt8(ascii: "\n") ? 0 : 1) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
        case .csv:
            rows = AnySequence(try CSVProducts(bytes))
            count = max(0, bytes.reduce(bytes.last == UInt8(ascii: "\n") ? -1 : 0) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 })
        }
    }

    private static func format(of path: String, _ bytes: [UInt8]) -> Format {
        if path.hasSuffix(".csv") { return .csv }
        if path.hasSuffix(".jsonl") || path.hasSuffix(".ndjson") { return .jsonl }
        return bytes.first { $0 > UInt8(ascii: " ") } == UInt8(ascii: "{") ? .jsonl : .csv
    }

    private static func jsonLines(_ bytes: [UInt8]) -> some Sequence<Row> {
        bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).lazy.enumerated()
            .filter { !$0.element.allSatisfy { $0 <= UInt8(ascii: " ") } }
            .map { index, line in
                Row(place: "line \(index + 1)", product: product(json: String(decoding: line, as: UTF8.self)))
            }
    }

    private static func product(json: String) -> Result<Catalog.Product, UsageError> {
        do throws(JSONDecodingError) {
            return .success(try Catalog.Product(jsonString: json))
        } catch {
            return .failure(UsageError("\(error)"))
        }
    }
}
