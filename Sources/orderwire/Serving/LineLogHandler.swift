import Glibc
import Logging
import Terminal

/// Writes log events to standard error, one a line: JSON with the field names of ECS, or plain text for a terminal.
///
/// Control characters are escaped in both, so no text from outside can forge a line.
struct LineLogHandler: LogHandler {
    enum Style {
        case json
        case text(hasColour: Bool)
    }

    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    private let label: String
    private let style: Style

    init(label: String, level: Logger.Level, style: Style) {
        self.label = label
        self.logLevel = level
        self.style = style
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        // One write a line, so lines of several threads do not mix.
        StandardStream.error.write(line(for: event, at: .now))
    }

    func line(for event: LogEvent, at time: WallTime) -> String {
        var all = metadata.merging(event.metadata ?? [:]) { $1 }
        if let error = event.error { all["error.message"] = "\(error)" }
        let pairs = all.map { (key: $0.key, value: $0.value.description) }.sorted { $0.key < $1.key }
        switch style {
        case .json:
            let members = [
                ("@timestamp", time.rfc3339), ("log.level", event.level.rawValue), ("message", event.message.description),
                ("ecs.version", "8.11"), ("service.name", "orderwire"), ("log.logger", label),
            ]
            return JSONValue.object((members + pairs).map { (key: $0.0, value: .string($0.1)) }).text() + "\n"
        case .text(let hasColour):
            let level = event.level.rawValue.uppercased()
            let padded = level + String(repeating: " ", count: max(0, 7 - level.count))
            let fields = pairs.map { " \($0.key.escapingControls)=\($0.value.escapingControls)" }.joined()
            let mark = hasColour ? Self.colour(of: event.level) + padded + "\u{1B}[0m" : padded
            return "\(time.clock) \(mark) \(event.message.description.escapingControls)\(fields)\n"
        }
    }

    private static func colour(of level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "\u{1B}[2m"
        case .info, .notice: "\u{1B}[32m"
        case .warning: "\u{1B}[33m"
        case .error, .critical: "\u{1B}[31m"
        }
    }
}

/// A point of the wall clock, in UTC.
struct WallTime {
    let seconds: Int
    let milliseconds: Int

    static var now: WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(seconds: time.tv_sec, milliseconds: time.tv_nsec / 1_000_000)
    }

    /// As in "2026-11-23T06:10:11.123Z".
    var rfc3339: String {
        let parts = self.parts
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(clock)Z"
    }

    /// As in "06:10:11.123".
    var clock: String {
        let parts = self.parts
        let fraction = String(milliseconds + 1000).dropFirst()
        return "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(fraction)"
    }

    private var parts: tm {
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        return parts
    }

    private func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
