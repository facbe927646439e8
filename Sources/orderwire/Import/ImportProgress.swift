import Terminal

/// Shows on a terminal how far an import is, how fast, how long it will take, and how many rows were refused.
final class ImportProgress {
    private let bar: ProgressBar
    private let extent: Int?
    private let first: Int
    private let firstRows: Int
    private let begin = ContinuousClock.now

    /// - Parameter extent: the mark's offset at the end, where it is known.
    init(extent: Int?, from mark: ImportMark, _ tally: ImportTally) {
        bar = ProgressBar("importing", total: extent, countsParts: false)
        self.extent = extent
        first = mark.offset
        firstRows = tally.rows
        update(to: mark, tally)
    }

    func update(to mark: ImportMark, _ tally: ImportTally) {
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        bar.move(to: mark.offset, note: note(mark, tally, seconds: seconds))
    }

    /// Writes to standard error without leaving half of the bar behind.
    func show(_ text: String) { bar.interrupt(text) }

    func finish() { bar.finish() }

    private func note(_ mark: ImportMark, _ tally: ImportTally, seconds: Double) -> String {
        var parts = ["\(tally.rows) rows"]
        let done = mark.offset - first
        if seconds > 1, done > 0 {
            parts.append("\(Int(Double(tally.rows - firstRows) / seconds))/s")
            if let extent { parts.append("\(Self.text(seconds: Double(extent - mark.offset) / Double(done) * seconds)) left") }
        }
        if tally.refused > 0 { parts.append("\(tally.refused) refused") }
        return parts.joined(separator: ", ")
    }

    /// As in "1:05".
    static func text(seconds: Double) -> String {
        let whole = Int(min(max(seconds, 0), 359_999).rounded(.up))
        let digits = String(whole % 60)
        return "\(whole / 60):\(digits.count < 2 ? "0" : "")\(digits)"
    }
}
