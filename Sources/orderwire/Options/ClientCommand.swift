import ArgumentParser
import ProtoRuntime
import ProtoShop
import RPC
import RPCClient

/// A verb that calls a server.
protocol ClientCommand: AsyncParsableCommand {
    var options: ClientOptions { get }

    /// Does the work of the verb over an open connection.
    func run(_ connection: Connection) async throws
}

extension ClientCommand {
    func run() async throws {
        let connection = try Connection(options)
        defer { connection.close() }
        try await run(connection)
    }
}

/// A channel to the servers, and how this run of the program uses it.
struct Connection: Sendable {
    private let channel: Channel
    private let explanation: Explanation?
    /// Makes the calls.
    let invoker: CommandInvoker
    let timeout: Duration
    let servers: [String]
    let output: Output

    init(_ options: ClientOptions) throws {
        timeout = try options.callTimeout
        output = Output(format: options.format)
        servers = try options.endpoints
        channel = try Channel(to: servers, name: options.clientName)
        explanation = options.explain ? Explanation() : nil
        invoker = CommandInvoker(
            channel: channel, metadata: options.metadata.map { ($0.key, $0.value) }, explanation: explanation)
    }

    /// Ends it, and tells where the time went if somebody asked.
    func close() {
        channel.close()
        explanation?.report(output.format)
    }

    var catalog: Catalog.CatalogService.Client { .init(invoker) }
    var orders: Orders.OrderService.Client { .init(invoker) }
    var runtime: Runtime.RuntimeService.Client { .init(invoker) }
    var callOptions: CallOptions { .init(timeout: timeout) }
}
