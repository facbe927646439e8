import ArgumentParser
import FoundationEssentials
import ProtoShop
import RPC

/// `orderwire products stock`
struct ProductsStock: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "stock", abstract: "Add pieces to a product's stock, or take them out.",
        discussion: """
            Examples:
              orderwire products stock chinook-1 --add 100
              orderwire products stock chinook-1 --remove 3 --request-id stocktaking-2024-7

            The same request id again is the same adjustment, made once, however often it is asked for within 30 days. Without \
            --request-id a new one is made.
            """)

    @Argument(help: "Id of the product.")
    var id: String

    @Option(help: ArgumentHelp("Pieces to add.", valueName: "n"))
    var add: Int64?

    @Option(help: ArgumentHelp("Pieces to take out.", valueName: "n"))
    var remove: Int64?

    @Option(help: ArgumentHelp("Name of this adjustment, 1 to 64 characters.", valueName: "id"))
    var requestID: String?

    @OptionGroup var options: ClientOptions

    func validate() throws {
        guard (add == nil) != (remove == nil) else { throw ValidationError("Give --add or --remove.") }
        if let count = add ?? remove, count < 1 { throw ValidationError("--add and --remove take at least 1.") }
    }

    func run(_ connection: Connection) async throws {
        let request = Catalog.AdjustStockRequest(
            id: id, delta: add ?? -(remove ?? 0), requestId: requestID ?? UUID().uuidString.lowercased())
        let response = try await connection.catalog.adjustStock(request, options: connection.callOptions)
        try connection.output.item(response, Field.stock, response: response)
        if response.replayed { connection.output.remark("This adjustment had been made before; this is its result from then.") }
    }
}
