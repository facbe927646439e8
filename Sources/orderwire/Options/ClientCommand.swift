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
        let connection = try await Connection(options)
        defer { connection.close() }
        try await run(connection)
    }
}

/// A channel to the server, and how this run of the program uses it.
struct Connection: Sendable {
    private let channel: Channel
    private let explanation: Explanation?
    /// Makes the calls.
    let invoker: CommandInvoker
    let timeout: Duration
    let output: Output

    /// How long the choice among several servers waits for one of them.
    private static let patience = Duration.seconds(1)

    /// A channel to the first server that answers; where none does, to the first of all, whose calls then say why.
    init(_ options: ClientOptions) async throws {
        timeout = try options.callTimeout
        output = Output(format: options.format)
        channel = try await Self.channel(options.endpoints, name: options.clientName)
        explanation = options.explain ? Explanation() : nil
        invoker = CommandInvoker(
            channel: channel, metadata: options.metadata.map { ($0.key, $0.value) }, explanation: explanation)
    }

    private static func channel(_ endpoints: [String], name: String) async throws -> Channel {
        for endpoint in endpoints.dropLast(endpoints.count == 1 ? 1 : 0) {
            let candidate = try Channel(to: endpoint, name: name)
            if await answers(candidate) { return candidate }
            candidate.close()
        }
        return try Channel(to: endpoints[0], name: name)
    }

    private static func answers(_ channel: Channel) async -> Bool {
        do throws(RPCError) {
            let health = Runtime.HealthService.Client(channel)
            return try await health.check(.init(), options: .init(timeout: patience)).status == .serving
        } catch {
            return false
        }
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
