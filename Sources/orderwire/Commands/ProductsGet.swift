import ArgumentParser
import ProtoShop
import RPC

/// `orderwire products get`
struct ProductsGet: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Show one product.",
        discussion: """
            Examples:
              orderwire products get chinook-1
              orderwire products get chinook-1 -o json
            """)

    @Argument(help: "Id of the product.")
    var id: String

    @OptionGroup var options: ClientOptions

    func run(_ connection: Connection) async throws {
        let response = try await connection.catalog.getProduct(.init(id: id), options: connection.callOptions)
        try connection.output.item(response.product ?? .init(), Field.productDetails, response: response)
    }
}
