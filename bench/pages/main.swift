// Pages of products from `orderwire serve`: all different, all the same, or some more popular than others.
//
//   bench-pages tokens ENDPOINT
//       walks through all products by name, a page of 10 after the other: prints the token of each page but the first
//   bench-pages load ENDPOINT TOKENS WORKLOAD IN_FLIGHT SECONDS READING
//       asks for pages of 10 with IN_FLIGHT calls on their way, each followed by the next, in tasks that await them:
//       prints calls_per_s=... p50_us=... p99_us=... cpu_us=... calls=...
//
// TOKENS is a file with what `tokens` printed. WORKLOAD: `distinct`: all pages in an order of chance, none twice before all had
// their turn; `same`: the first page; `zipf`: 200 pages, the nth 1/n as often as the first. READING: `values`: replies become
// Swift values; `bytes`: they are received and checked for their form, and nothing is made of them.
// cpu_us is this process's own, a call; calls are all, the warm-up's included.
import Glibc
import ProtoRuntime
import ProtoShop
import RPC
import RPCClient

func usage() -> Never {
    let text = """
        usage: bench-pages tokens ENDPOINT
               bench-pages load ENDPOINT TOKENS distinct|same|zipf IN_FLIGHT SECONDS values|bytes

        """
    write(STDERR_FILENO, text, text.utf8.count)
    exit(64)
}

func channel(to endpoint: String) throws -> Channel {
    var configuration = ChannelConfiguration()
    configuration.connectTimeout = .seconds(30)
    configuration.defaultTimeout = .seconds(60)
    return try Channel(to: endpoint, name: "bench", configuration: configuration)
}

func printTokens(_ endpoint: String) async throws {
    let channel = try channel(to: endpoint)
    defer { channel.close() }
    let client = Catalog.CatalogService.Client(channel)
    var token = ""
    repeat {
        token = try await client.listProducts(.init(pageSize: Load.pageSize, pageToken: token)).nextPageToken
        if !token.isEmpty { print(token) }
    } while !token.isEmpty
}

func lines(of path: String) -> [String] {
    guard let file = fopen(path, "r") else { usage() }
    defer { fclose(file) }
    var lines: [String] = []
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, file) > 0, let line { lines.append(String(String(cString: line).dropLast())) }
    return lines
}

var arguments = CommandLine.arguments.dropFirst()
switch (arguments.popFirst(), arguments.popFirst()) {
case ("tokens", let endpoint?):
    try await printTokens(endpoint)
case ("load", let endpoint?):
    guard let path = arguments.popFirst(), let workload = arguments.popFirst().flatMap(Load.Workload.init),
        let inFlight = arguments.popFirst().flatMap(Int.init), let seconds = arguments.popFirst().flatMap(Double.init),
        let reading = arguments.popFirst().flatMap(Load.Reading.init), inFlight > 0, seconds > 0
    else { usage() }
    let channel = try channel(to: endpoint)
    let load = Load(workload, tokens: lines(of: path), reading: reading)
    print(try await load.measure(channel, inFlight: inFlight, seconds: seconds))
    channel.close()
default: usage()
}
