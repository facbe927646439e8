import ArgumentParser

/// `orderwire products`
struct ProductsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "products", abstract: "Look at the catalogue, fill it and change it.",
        discussion: """
            Examples:
              orderwire products import products.csv
              orderwire products list --category rock --order-by "price desc"
              orderwire products get chinook-1 chinook-7
              orderwire products update chinook-1 --price "1.29 USD"
              orderwire products stock chinook-1 --add 100
            """,
        subcommands: [
            ProductsList.self, ProductsGet.self, ProductsImport.self, ProductsGenerate.self, ProductsUpdate.self,
            ProductsStock.self, ProductsDelete.self,
        ])
}
