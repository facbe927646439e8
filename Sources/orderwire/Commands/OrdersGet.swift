import ArgumentParser
import ProtoShop
import RPC

/// `orderwire orders get`
struct OrdersGet: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Show one of the caller's orders.",
        discussion: """
            Examples:
              orderwire orders get 4QZ5T2J6V7R3K8M1N0P9S2W4X6
              orderwire orders get 4QZ5T2J6V7R3K8M1N0P9S2W4X6 --client customer-2 -o json
            """)

    @Argument(help: "Id of the order.")
    var id: String

    @OptionGroup var options: ClientOptions

    func run(_ connection: Connection) async throws {
        let response = try await connection.orders.getOrder(.init(id: id), options: connection.callOptions)
        try connection.output.item(response.order ?? .init(), Field.order, response: response)
    }
}
