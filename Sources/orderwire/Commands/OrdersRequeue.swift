import ArgumentParser
import ProtoShop
import RPC

/// `orderwire orders requeue`
struct OrdersRequeue: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "requeue", abstract: "Have parked orders tried again.",
        discussion: """
            Examples:
              orderwire orders requeue 4QZ5T2J6V7R3K8M1N0P9S2W4X6
              orderwire orders requeue --all

            Orders that are not parked stay as they are. Where one of the ids is no order of the caller's, nothing is done: exit \
            code 69 (NOT_FOUND).
            """)

    @Argument(help: "Ids of orders.")
    var ids: [String] = []

    @Flag(help: "All orders of the caller that are parked.")
    var all = false

    @OptionGroup var options: ClientOptions

    func validate() throws {
        if ids.isEmpty != all { throw ValidationError("Either ids of orders are needed, or --all.") }
    }

    func run(_ connection: Connection) async throws {
        let response = try await connection.orders.requeueOrders(.init(ids: ids, all: all), options: connection.callOptions)
        connection.output.summary([(name: "requeued", count: Int(response.requeuedCount))])
    }
}
