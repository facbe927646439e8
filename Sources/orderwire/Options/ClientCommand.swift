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
        defer { connection.channel.close() }
        try await run(connection)
    }
}

/// A channel to the server, and how this run of the program uses it.
struct Connection: Sendable {
    let channel: Channel
    let timeout: Duration
    let output: Output

    /// How long the choice among several servers waits for one of them.
    private static let patience = Duration.seconds(1)

    /// A channel to the first server that answers; where none does, to the first of all, whose calls then say why.
    init(_ options: ClientOptions) async throws {
        timeout = try options.callTimeout
        output = Output(format: options.format)
        let name = try options.clientName
        let endpoints = try options.endpoints
        for endpoint in endpoints.dropLast(endpoints.count == 1 ? 1 : 0) {
            let candidate = try Channel(to: endpoint, name: name)
            if await Self.answers(candidate) {
                channel = candidate
                return
            }
            candidate.close()
        }
        channel = try Channel(to: endpoints[0], name: name)
    }

    private static func answers(_ channel: Channel) async -> Bool {
        do throws(RPCError) {
            let health = Runtime.HealthService.Client(channel)
            return try await health.check(.init(), options: .init(timeout: patience)).status == .serving
        } catch {
            return false
        }
    }

    var catalog: Catalog.CatalogService.Client { .init(channel) }
    var orders: Orders.OrderService.Client { .init(channel) }
    var callOptions: CallOptions { .init(timeout: timeout) }
}
