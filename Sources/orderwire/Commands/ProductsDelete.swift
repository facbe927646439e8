import ArgumentParser
import ProtoShop
import RPC

/// `orderwire products delete`
struct ProductsDelete: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete a product.",
        discussion: """
            Examples:
              orderwire products delete chinook-1
              orderwire products delete chinook-1 --expected-version 1764000000000000

            Prints the product as it was. Open orders that want it are rejected. With --expected-version it is deleted only if nobody has \
            changed it since.
            """)

    @Argument(help: "Id of the product.")
    var id: String

    @Option(help: ArgumentHelp("The version that is to be deleted. Without it, whatever is there.", valueName: "n"))
    var expectedVersion: Int64?

    @OptionGroup var options: ClientOptions

    func run(_ connection: Connection) async throws {
        let response = try await connection.catalog.deleteProduct(
            .init(id: id, expectedVersion: expectedVersion ?? 0), options: connection.callOptions)
        try connection.output.item(response.product ?? .init(), Field.productDetails, response: response)
    }
}
