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
    private let total: Int
    private let width: Int?
    private let state = Mutex(State())

    /// Often enough for the eye, seldom enough to cost nothing.
    private static let interval = Duration.milliseconds(50)
    private static let barColumns = 30

    package init(_ label: String, total: Int) {
        self.label = label
        self.total = total
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
            let line = Self.line(label: label, done: state.done, total: total, note: state.note)
            StandardStream.error.write("\r\u{1B}[K" + line.truncated(to: width - 1))
        }
    }

    static func line(label: String, done: Int, total: Int, note: String) -> String {
        let share = total > 0 ? min(1, Double(done) / Double(total)) : 1
        let filled = Int(share * Double(barColumns))
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: barColumns - filled)
        let percent = String(Int(share * 100))
        let line = "\(label) \(bar) \(String(repeating: " ", count: 3 - percent.count))\(percent)% \(done)/\(total)"
        return note.isEmpty ? line : line + "  " + note
    }
}
