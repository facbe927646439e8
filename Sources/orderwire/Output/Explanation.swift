import RPC
import Synchronization
import Terminal

/// Where the time of a run's calls went, for `--explain`.
final class Explanation: Sendable {
    private let calls = Mutex<[(method: String, timings: CallTimings)]>([])

    /// Takes note of a call that has ended.
    func add(_ method: String, _ timings: CallTimings) {
        calls.withLock { $0.append((method, timings)) }
    }

    /// Writes to standard error: for people a table for the calls of each method, for programs a line of JSON for each call.
    func report(_ format: OutputFormat) {
        let calls = calls.withLock { $0 }
        let stream = StandardStream.error
        switch format {
        case .table: stream.write(Self.tables(calls, hasColour: stream.hasColour))
        case .json, .jsonl, .csv: stream.write(calls.map { Self.json($0.method, $0.timings) + "\n" }.joined())
        }
    }

    // MARK: - For people

    static func tables(_ calls: [(method: String, timings: CallTimings)], hasColour: Bool) -> String {
        let kinds = Dictionary(grouping: calls.indices) { [calls[$0].method, calls[$0].timings.endpoint] }
        return kinds.values.sorted { $0[0] < $1[0] }.map { indices in
            let timings = indices.map { calls[$0].timings }
            let tries = timings.reduce(0) { $0 + $1.attempts }
            let counts = timings.count == 1 ? count(tries, "try", "tries") : "\(timings.count) calls, \(count(tries, "try", "tries"))"
            let method = calls[indices[0]].method.split(separator: ".").last ?? ""
            return "\(method) at \(timings[0].endpoint), \(counts)".escapingControls + "\n" + table(timings).rendered(hasColour: hasColour)
        }.joined()
    }

    private static func count(_ number: Int, _ one: String, _ many: String) -> String {
        number == 1 ? "1 \(one)" : "\(number) \(many)"
    }

    /// The sums over all calls: what is inside another stage stands further to the right.
    private static func table(_ calls: [CallTimings]) -> Table {
        var table = Table([.init("STAGE"), .init("TIME", isNumber: true), .init("SHARE", isNumber: true)])
        let whole = calls.reduce(.zero) { $0 + $1.roundTrip }
        func row(_ name: String, _ time: Duration) {
            let share = whole > .zero ? Int((time / whole * 100).rounded()) : 0
            table.append([name, milliseconds(time), "\(share)%"])
        }
        row("round trip", whole)
        let told = calls.compactMap(\.server)
        if told.isEmpty { return table }
        func sum(_ stage: KeyPath<StageTimings, Duration>) -> Duration { told.reduce(.zero) { $0 + $1[keyPath: stage] } }
        row("  queued", sum(\.queued))
        row("  decoded", sum(\.decoded))
        row("  handler", sum(\.handler))
        row("    database", sum(\.database))
        row("  encoded", sum(\.encoded))
        let inServer = sum(\.queued) + sum(\.decoded) + sum(\.handler) + sum(\.encoded)
        row("  on the way", max(.zero, whole - inServer))
        return table
    }

    private static func milliseconds(_ duration: Duration) -> String {
        let (whole, rest) = Int(duration / .microseconds(1)).quotientAndRemainder(dividingBy: 1000)
        return "\(whole).\(String(rest + 1000).dropFirst()) ms"
    }

    // MARK: - For programs

    static func json(_ method: String, _ timings: CallTimings) -> String {
        var members: [(key: String, value: JSONValue)] = [
            ("method", .string(method)), ("endpoint", .string(timings.endpoint)), ("attempts", .number(timings.attempts)),
            ("roundTripMicroseconds", .microseconds(timings.roundTrip)),
        ]
        if let server = timings.server {
            members += [
                ("queuedMicroseconds", .microseconds(server.queued)), ("decodedMicroseconds", .microseconds(server.decoded)),
                ("handlerMicroseconds", .microseconds(server.handler)), ("databaseMicroseconds", .microseconds(server.database)),
                ("encodedMicroseconds", .microseconds(server.encoded)),
            ]
        }
        return JSONValue.object([("explain", .object(members))]).text()
    }
}

extension JSONValue {
    fileprivate static func microseconds(_ duration: Duration) -> JSONValue { .number(Int(duration / .microseconds(1))) }
}
