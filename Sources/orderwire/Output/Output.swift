import Protobuf
import Terminal

/// Prints what a verb was asked for, in the form that was asked for.
struct Output: Sendable {
    let format: OutputFormat

    /// Prints one item: a column a field for people, the response for programs.
    func item<Item, Response: Message>(_ item: Item, _ fields: [Field<Item>], response: Response) throws {
        switch format {
        case .table:
            let shown = fields.filter { $0.heading != nil }
            let width = shown.map { $0.title.columns }.max() ?? 0
            for field in shown {
                let value = field.value(item).escapingControls
                guard !value.isEmpty else { continue }
                let padding = String(repeating: " ", count: width - field.title.columns)
                StandardStream.output.write("\(field.title)\(padding)  \(value)\n")
            }
        case .json: StandardStream.output.write(try response.jsonString(options: .init(isPretty: true)) + "\n")
        case .jsonl: StandardStream.output.write(try response.jsonString() + "\n")
        case .csv: StandardStream.output.write(CSVWriter.header(fields) + CSVWriter.line(item, fields))
        }
    }

    /// Prints a list: a table, the response, or an item a line.
    func list<Item: Message, Response: Message>(_ items: [Item], _ fields: [Field<Item>], response: Response) throws {
        switch format {
        case .table:
            let shown = fields.filter { $0.heading != nil }
            var table = Table(shown.map { Table.Column($0.title, isNumber: $0.isNumber, isElastic: $0.isElastic) })
            for item in items { table.append(shown.map { $0.value(item) }) }
            let stream = StandardStream.output
            stream.write(table.rendered(width: stream.width, hasColour: stream.hasColour))
        case .json: StandardStream.output.write(try response.jsonString(options: .init(isPretty: true)) + "\n")
        case .jsonl: for item in items { StandardStream.output.write(try item.jsonString() + "\n") }
        case .csv:
            StandardStream.output.write(CSVWriter.header(fields))
            for item in items { StandardStream.output.write(CSVWriter.line(item, fields)) }
        }
    }

    /// For items that come one by one. Prints the headings, where the form has any.
    func lines<Item: Message>(_ fields: [Field<Item>]) -> ItemLines<Item> {
        let lines = ItemLines(format: format, fields: fields)
        lines.writeHeading()
        return lines
    }

    /// Prints named numbers.
    func summary(_ numbers: [(name: String, count: Int)]) {
        switch format {
        case .table: StandardStream.output.write(numbers.map { "\($0.count) \($0.name)" }.joined(separator: ", ") + "\n")
        case .json, .jsonl:
            StandardStream.output.write(JSONValue.object(numbers.map { (key: $0.name, value: .number($0.count)) }).text() + "\n")
        case .csv:
            StandardStream.output.write(CSVWriter.record(numbers.map(\.name)) + CSVWriter.record(numbers.map { String($0.count) }))
        }
    }

    /// A remark for people, on standard error; programs do not get it.
    func remark(_ text: String) {
        if format == .table { StandardStream.error.write(text.escapingControls + "\n") }
    }
}

/// Prints items that come one by one, each as soon as it is there.
struct ItemLines<Item: Message>: Sendable {
    fileprivate let format: OutputFormat
    fileprivate let fields: [Field<Item>]

    fileprivate func writeHeading() {
        if format == .csv { StandardStream.output.write(CSVWriter.header(fields)) }
    }

    /// Prints one item. A list has no end here, so JSON is an item a line, too.
    func write(_ item: Item) throws {
        switch format {
        case .table:
            let cells = fields.filter { $0.heading != nil }.map { $0.value(item).escapingControls }
            StandardStream.output.write(cells.filter { !$0.isEmpty }.joined(separator: "  ") + "\n")
        case .json, .jsonl: StandardStream.output.write(try item.jsonString() + "\n")
        case .csv: StandardStream.output.write(CSVWriter.line(item, fields))
        }
    }
}

/// One column of what is printed about an item.
struct Field<Item>: Sendable {
    /// Heading in a table; nil where people do not need it.
    let heading: String?
    /// Name in CSV; nil where programs do not get it.
    let name: String?
    let isNumber: Bool
    let isElastic: Bool
    let value: @Sendable (Item) -> String

    init(
        _ heading: String?, csv name: String?, isNumber: Bool = false, isElastic: Bool = false,
        _ value: @escaping @Sendable (Item) -> String
    ) {
        self.heading = heading
        self.name = name
        self.isNumber = isNumber
        self.isElastic = isElastic
        self.value = value
    }

    fileprivate var title: String { heading ?? "" }
}

/// Writes RFC 4180.
enum CSVWriter {
    static func header<Item>(_ fields: [Field<Item>]) -> String {
        record(fields.compactMap(\.name))
    }

    static func line<Item>(_ item: Item, _ fields: [Field<Item>]) -> String {
        record(fields.filter { $0.name != nil }.map { $0.value(item) })
    }

    static func record(_ cells: [String]) -> String {
        cells.map(quoted).joined(separator: ",") + "\r\n"
    }

    private static func quoted(_ cell: String) -> String {
        // A line end of two scalars is one Character, so the bytes are looked at.
        let isPlain = !cell.utf8.contains { [UInt8(ascii: ","), UInt8(ascii: "\""), 10, 13].contains($0) }
        if isPlain { return cell }
        return "\"" + cell.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
