import Synchronization

/// One line on standard error that tells how far a task has come. Nothing where that is not a terminal.
package final class ProgressBar: Sendable {
    private struct State {
        var done = 0
        var note = ""
        var lastDrawn: ContinuousClock.Instant?
        var isFinished = false
    }

    private let label: String
    private let total: Int?
    private let countsParts: Bool
    private let width: Int?
    private let state = Mutex(State())

    /// Often enough for the eye, seldom enough to cost nothing.
    private static let interval = Duration.milliseconds(50)
    private static let barColumns = 30

    /// - Parameters:
    ///   - total: parts in all; nil where that is not known, so that there is no bar.
    ///   - countsParts: shows how many parts are done. Not for parts that mean nothing to people.
    package init(_ label: String, total: Int?, countsParts: Bool = true) {
        self.label = label
        self.total = total
        self.countsParts = countsParts
        self.width = StandardStream.error.width
        draw(force: true)
    }

    /// Says that `count` more parts are done.
    package func advance(by count: Int = 1, note: String? = nil) {
        state.withLock {
            $0.done += count
            if let note { $0.note = note }
        }
        draw(force: false)
    }

    /// Says that `done` parts are done in all.
    package func move(to done: Int, note: String) {
        state.withLock {
            $0.done = done
            $0.note = note
        }
        draw(force: false)
    }

    /// Writes `text`, which ends its line, to standard error, and draws the bar again below it.
    package func interrupt(_ text: String) {
        let isDrawn = width != nil && state.withLock { !$0.isFinished }
        StandardStream.error.write(isDrawn ? "\r\u{1B}[K" + text : text)
        if isDrawn { draw(force: true) }
    }

    /// Draws the last state and ends the line.
    package func finish() {
        draw(force: true)
        let isFirst = state.withLock { state in
            defer { state.isFinished = true }
            return !state.isFinished
        }
        if isFirst, width != nil { StandardStream.error.write("\n") }
    }

    private func draw(force: Bool) {
        guard let width else { return }
        let now = ContinuousClock.now
        state.withLock { state in
            if state.isFinished { return }
            if !force, let last = state.lastDrawn, now - last < Self.interval { return }
            state.lastDrawn = now
            let line = Self.line(label: label, done: state.done, total: total, countsParts: countsParts, note: state.note)
            StandardStream.error.write("\r\u{1B}[K" + line.truncated(to: width - 1))
        }
    }

    static func line(label: String, done: Int, total: Int?, countsParts: Bool = true, note: String) -> String {
        var line = label
        if let total {
            let share = total > 0 ? min(1, Double(done) / Double(total)) : 1
            let filled = Int(share * Double(barColumns))
            let percent = String(Int(share * 100))
            line += " " + String(repeating: "█", count: filled) + String(repeating: "░", count: barColumns - filled)
            line += " \(String(repeating: " ", count: 3 - percent.count))\(percent)%"
        }
        if countsParts { line += " \(done)" + (total.map { "/\($0)" } ?? "") }
        return note.isEmpty ? line : line + "  " + note
    }
}
