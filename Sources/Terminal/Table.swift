/// Rows under headings, for people.
package struct Table: Sendable {
    package struct Column: Sendable {
        package let heading: String
        /// Numbers stand at the right edge.
        package let isNumber: Bool
        /// Gives way first where the terminal is too narrow.
        package let isElastic: Bool

        package init(_ heading: String, isNumber: Bool = false, isElastic: Bool = false) {
            self.heading = heading
            self.isNumber = isNumber
            self.isElastic = isElastic
        }
    }

    package let columns: [Column]
    package private(set) var rows: [[String]] = []

    /// An elastic column keeps at least so many columns of the terminal.
    private static let narrowest = 8
    private static let gap = "  "

    package init(_ columns: [Column]) {
        self.columns = columns
    }

    /// Adds a row; control characters in it are escaped.
    package mutating func append(_ cells: [String]) {
        precondition(cells.count == columns.count)
        rows.append(cells.map(\.escapingControls))
    }

    /// The lines of the table, no wider than `width` where that is possible, headings in bold where colour is allowed.
    package func rendered(width: Int? = nil, hasColour: Bool = false) -> String {
        let widths = self.widths(within: width)
        let heading = line(columns.map(\.heading), widths)
        let lines = [hasColour ? "\u{1B}[1m\(heading)\u{1B}[0m" : heading] + rows.map { line($0, widths) }
        return lines.joined(separator: "\n") + "\n"
    }

    private func widths(within limit: Int?) -> [Int] {
        var widths = columns.indices.map { column in
            rows.reduce(columns[column].heading.columns) { max($0, $1[column].columns) }
        }
        guard let limit else { return widths }
        var excess = widths.reduce(0, +) + Self.gap.count * (widths.count - 1) - limit
        for column in columns.indices where columns[column].isElastic && excess > 0 {
            let cut = min(excess, max(0, widths[column] - Self.narrowest))
            widths[column] -= cut
            excess -= cut
        }
        return widths
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        let padded = zip(cells, zip(columns, widths)).map { cell, place in
            let (column, width) = place
            let text = cell.truncated(to: width)
            let padding = String(repeating: " ", count: width - text.columns)
            return column.isNumber ? padding + text : text + padding
        }
        let line = padded.joined(separator: Self.gap)
        return String(line.reversed().drop { $0 == " " }.reversed())
    }
}
