import ArgumentParser
import ProtoShop
import RPC

/// `orderwire products update`
struct ProductsUpdate: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Change a product's name, category, price or description.",
        discussion: """
            Examples:
              orderwire products update chinook-1 --price "1.29 USD"
              orderwire products update chinook-1 --name "For Those About to Rock" --category "Hard Rock" --expected-version 1764000000000000

            What is not given stays as it is. With --expected-version the product is changed only if nobody else has changed it since; \
            `products get` shows its version. Stock is changed by `products stock`.
            """)

    @Argument(help: "Id of the product.")
    var id: String

    @Option(help: ArgumentHelp("New name.", valueName: "text"))
    var name: String?

    @Option(help: ArgumentHelp("New category.", valueName: "text"))
    var category: String?

    @Option(help: ArgumentHelp("New price.", valueName: "amount"))
    var price: String?

    @Option(help: ArgumentHelp("New description.", valueName: "text"))
    var description: String?

    @Option(help: ArgumentHelp("The version that is to be changed. Without it, the latest.", valueName: "n"))
    var expectedVersion: Int64?

    @OptionGroup var options: ClientOptions

    func validate() throws {
        if fields.isEmpty { throw ValidationError("Nothing to change: give --name, --category, --price or --description.") }
        if let price, Catalog.Money(text: price) == nil {
            throw ValidationError("--price: '\(price)' is not right; allowed: an amount like \"1.98 USD\"")
        }
    }

    private var fields: [String] {
        [("name", name), ("category", category), ("price", price), ("description", description)].filter { $0.1 != nil }.map(\.0)
    }

    func run(_ connection: Connection) async throws {
        let wanted = Catalog.Product(
            id: id, name: name ?? "", category: category ?? "", price: price.flatMap(Catalog.Money.init(text:)),
            description: description ?? "")
        let seen =
            if let expectedVersion { expectedVersion } else {
                try await connection.catalog.getProduct(.init(id: id), options: connection.callOptions).product?.version ?? 0
            }
        let response = try await connection.catalog.updateProduct(
            .init(product: wanted, updateFields: fields, expectedVersion: seen), options: connection.callOptions)
        try connection.output.item(response.product ?? .init(), Field.productDetails, response: response)
    }
}
