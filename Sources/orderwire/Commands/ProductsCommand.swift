import ArgumentParser

/// `orderwire products`
struct ProductsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "products", abstract: "Look at the catalogue, and fill it.",
        subcommands: [ProductsList.self, ProductsGet.self, ProductsImport.self])
}
