import ArgumentParser
import ProtoShop
import RPC

/// `orderwire orders cancel`
struct OrdersCancel: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Cancel an order that is not decided yet.",
        discussion: """
            Examples:
              orderwire orders cancel 4QZ5T2J6V7R3K8M1N0P9S2W4X6

            An order that is fulfilled or rejected already stays so: exit code 73 (FAILED_PRECONDITION).
            """)

    @Argument(help: "Id of the order.")
    var id: String

    @OptionGroup var options: ClientOptions

    func run(_ connection: Connection) async throws {
        let response = try await connection.orders.cancelOrder(.init(id: id), options: connection.callOptions)
        try connection.output.item(response.order ?? .init(), Field.order, response: response)
    }
}
