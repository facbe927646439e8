import ArgumentParser

/// `orderwire products`
struct ProductsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "products", abstract: "Look at the catalogue, and fill it.",
        discussion: """
            Examples:
              orderwire products import products.csv
              orderwire products list --category rock --order-by "price desc"
              orderwire products get chinook-1 chinook-7
            """,
        subcommands: [ProductsList.self, ProductsGet.self, ProductsImport.self, ProductsGenerate.self])
}
