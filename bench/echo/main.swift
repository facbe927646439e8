// Echo through the whole runtime: what bench/peers/raw-echo does with libzmq alone, with the same arguments and output.
//
//   bench-echo server ENDPOINT                      until its standard input ends
//   bench-echo client ENDPOINT IN_FLIGHT SECONDS    prints calls_per_s=... p50_us=... p99_us=...
import Glibc
import Logging
import ProtoEcho
import RPC
import RPCClient
import RPCServer

struct EchoHandlers: Echo.EchoService.Handlers {
    var echo: Handler<Echo.EchoRequest, Echo.EchoResponse> {
        .unary { (request, _) throws(RPCError) in Echo.EchoResponse(payload: request.payload) }
    }
}

func serve(on endpoint: String) throws {
    let server = try Server(
        configuration: ServerConfiguration(listen: [endpoint]), services: [EchoHandlers()], logger: Logger(label: "bench-echo"))
    try server.start()
    while getchar() != EOF {}
    server.shutdown()
}

/// One of the `inFlight` tasks: calls until the end, and returns the latencies of calls that began after the warm-up.
func callUntil(end: MonotonicTime, from start: MonotonicTime, _ client: Echo.EchoService.Client) async throws -> [UInt32] {
    let request = Echo.EchoRequest(payload: [UInt8](repeating: 0x5A, count: 64))
    var latencies: [UInt32] = []
    while true {
        let before = MonotonicTime.now
        if before >= end { return latencies }
        let response = try await client.echo(request)
        precondition(response.payload == request.payload, "another payload came back")
        let after = MonotonicTime.now
        if before >= start, after < end { latencies.append(UInt32(clamping: after.nanoseconds - before.nanoseconds)) }
    }
}

func measure(_ endpoint: String, inFlight: Int, seconds: Double) async throws {
    var configuration = ChannelConfiguration()
    configuration.connectTimeout = .seconds(30)
    configuration.defaultTimeout = .seconds(60)
    let channel = try Channel(to: endpoint, name: "bench", configuration: configuration)
    let client = Echo.EchoService.Client(channel)
    let start = MonotonicTime.now.advanced(by: .milliseconds(500))
    let end = start.advanced(by: .seconds(seconds))
    let latencies = try await withThrowingTaskGroup(of: [UInt32].self) { group in
        for _ in 0..<inFlight { group.addTask { try await callUntil(end: end, from: start, client) } }
        return try await group.reduce(into: []) { $0 += $1 }.sorted()
    }
    channel.close()
    func percentile(_ share: Double) -> Double {
        latencies.isEmpty ? 0 : Double(latencies[min(latencies.count - 1, Int(Double(latencies.count) * share))]) / 1000
    }
    let rate = Int(Double(latencies.count) / seconds)
    print("calls_per_s=\(rate) p50_us=\(percentile(0.5)) p99_us=\(percentile(0.99))")
}

let arguments = CommandLine.arguments
if arguments.count == 3, arguments[1] == "server" {
    try serve(on: arguments[2])
} else if arguments.count == 5, arguments[1] == "client", let inFlight = Int(arguments[3]), let seconds = Double(arguments[4]) {
    try await measure(arguments[2], inFlight: inFlight, seconds: seconds)
} else {
    let usage = "usage: bench-echo server ENDPOINT | bench-echo client ENDPOINT IN_FLIGHT SECONDS\n"
    write(STDERR_FILENO, usage, usage.utf8.count)
    exit(64)
}
