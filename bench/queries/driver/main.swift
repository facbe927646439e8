// Calls of the catalogue, one after another or many at once, and how long they took: what bench/queries and bench/predecessor measure with.
//
//   bench-queries each ENDPOINT
//       Each line of standard input is a measurement, of fields separated by tabs, and is answered by a line of JSON:
//         METHOD COUNT MILLISECONDS REQUEST    calls METHOD, as in ListProducts, COUNT times, or until the time is over
//       REQUEST is ProtoJSON. The answer: {"round_trip_us": [...], "database_us": [...], "response": the first} or {"error": "..."}.
//   bench-queries load ENDPOINT FILE IN_FLIGHT SECONDS
//       ListProducts with the requests of FILE, one in ProtoJSON a line; prints pages_per_s=... p50_us=... p99_us=...
import Glibc
import ProtoShop
import Protobuf
import RPC
import RPCClient
import Synchronization

/// A line of the input.
struct Measurement {
    let method: String
    let count: Int
    let time: Duration
    let request: String

    init?(_ line: String) {
        let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        guard fields.count == 4, let count = Int(fields[1]), let milliseconds = Int(fields[2]), count > 0 else { return nil }
        method = fields[0]
        self.count = count
        time = .milliseconds(milliseconds)
        request = fields[3]
    }

    func run(on channel: Channel) async throws -> String {
        switch method {
        case "ListProducts": try await run(Catalog.CatalogService.listProducts, on: channel)
        case "BatchGetProducts": try await run(Catalog.CatalogService.batchGetProducts, on: channel)
        case "ImportProducts": try await run(Catalog.CatalogService.importProducts, on: channel)
        default: throw RPCError(.unimplemented, reason: "METHOD_NOT_FOUND", method)
        }
    }

    private func run<Request: Message, Response: Message>(
        _ method: MethodDescriptor<Request, Response>, on channel: Channel
    ) async throws -> String {
        let request = try Request(jsonString: request)
        let end = ContinuousClock.now + time
        var (roundTrips, databases): ([Int], [Int]) = ([], [])
        var first: Response?
        repeat {
            let server = ServerTime()
            let options = CallOptions(timeout: Self.timeout, retry: .never, onTimings: server.keep)
            let start = ContinuousClock.now
            let response = try await channel.call(method, request, options: options)
            roundTrips.append((ContinuousClock.now - start).wholeMicroseconds)
            databases.append(server.database.wholeMicroseconds)
            if first == nil { first = response }
        } while roundTrips.count < count && ContinuousClock.now < end
        let response = try first?.jsonString() ?? "{}"
        return "{\"round_trip_us\": \(roundTrips), \"database_us\": \(databases), \"response\": \(response)}"
    }

    private static let timeout = Duration.seconds(30)
}

/// What the server says that it waited for its database, which arrives on another thread.
private final class ServerTime: Sendable {
    private let last = Mutex(Duration.zero)

    @Sendable func keep(_ timings: CallTimings) { last.withLock { $0 = timings.server?.database ?? .zero } }
    var database: Duration { last.withLock { $0 } }
}

extension Duration {
    fileprivate var wholeMicroseconds: Int {
        Int(components.seconds) * 1_000_000 + Int(components.attoseconds / 1_000_000_000_000)
    }
}

/// Writes a line at once: whoever asked waits for it.
func answer(_ text: String) {
    let line = text + "\n"
    line.utf8CString.withUnsafeBytes { bytes in
        var written = 0
        while written < bytes.count - 1 {
            let count = write(STDOUT_FILENO, bytes.baseAddress?.advanced(by: written), bytes.count - 1 - written)
            guard count > 0 else { exit(1) }
            written += count
        }
    }
}

func answerMeasurements(at endpoint: String) async throws {
    let channel = try Channel(to: endpoint, name: "bench")
    defer { channel.close() }
    while let line = readLine() {
        do {
            guard let measurement = Measurement(line) else { throw RPCError(.invalidArgument, reason: "INVALID_FIELD", "not a measurement") }
            answer(try await measurement.run(on: channel))
        } catch {
            let text = "\(error)".map { $0 == "\"" || $0 == "\\" || $0.isNewline ? " " : String($0) }.joined()
            answer("{\"error\": \"\(text)\"}")
        }
    }
}

let arguments = CommandLine.arguments
if arguments.count == 3, arguments[1] == "each" {
    try await answerMeasurements(at: arguments[2])
} else if arguments.count == 6, arguments[1] == "load", let inFlight = Int(arguments[4]), let seconds = Double(arguments[5]) {
    print(try await Load(path: arguments[3]).run(at: arguments[2], inFlight: inFlight, seconds: seconds))
} else {
    let usage = "usage: bench-queries each ENDPOINT | bench-queries load ENDPOINT FILE IN_FLIGHT SECONDS\n"
    write(STDERR_FILENO, usage, usage.utf8.count)
    exit(64)
}
