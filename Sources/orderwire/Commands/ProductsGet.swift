import ArgumentParser
import ProtoShop
import RPC

/// `orderwire products get`
struct ProductsGet: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Show products by their ids.",
        discussion: """
            Examples:
              orderwire products get chinook-1
              orderwire products get chinook-1 -o json
              orderwire products get chinook-1 chinook-7 -o csv
            """)

    @Argument(help: ArgumentHelp("Ids of the products, at most 1000.", valueName: "id"))
    var ids: [String]

    @OptionGroup var options: ClientOptions

    func run(_ connection: Connection) async throws {
        if ids.count == 1 {
            let response = try await connection.catalog.getProduct(.init(id: ids[0]), options: connection.callOptions)
            return try connection.output.item(response.product ?? .init(), Field.productDetails, response: response)
        }
        let response = try await connection.catalog.batchGetProducts(.init(ids: ids), options: connection.callOptions)
        try connection.output.list(response.products, Field.product, response: response)
        guard response.missingIds.isEmpty else {
            throw RPCError(
                .notFound, reason: "PRODUCT_NOT_FOUND", "there are no products with these ids: \(response.missingIds.joined(separator: " "))")
        }
    }
}
