import ArgumentParser
import ProtoShop
import RPC

/// `orderwire products list`
struct ProductsList: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List products, a page at a time.",
        discussion: """
            Examples:
              orderwire products list --category rock
              orderwire products list --order-by "price desc" --page 3 --page-size 50
              orderwire products list --page-size 1000 -o csv > products.csv
            """)

    @Option(help: ArgumentHelp("Keep products whose category contains this text; case does not matter.", valueName: "text"))
    var category: String?

    @Option(help: ArgumentHelp("name, \"name desc\", price or \"price desc\".", valueName: "order"))
    var orderBy: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Number of the page, from 1.", valueName: "n"))
    var page: Int32?

    @Option(parsing: .unconditional, help: ArgumentHelp("Products on a page, at most 1000. 0 means 10.", valueName: "n"))
    var pageSize: Int32?

    // Tokens may begin with a dash.
    @Option(parsing: .unconditional, help: ArgumentHelp("The token that the page before ended with, instead of --page.", valueName: "token"))
    var pageToken: String?

    @OptionGroup var options: ClientOptions

    func run(_ connection: Connection) async throws {
        let request = Catalog.ListProductsRequest(
            category: category ?? "", orderBy: orderBy ?? "", pageSize: pageSize ?? 0, page: page ?? 0, pageToken: pageToken ?? "")
        let response = try await connection.catalog.listProducts(request, options: connection.callOptions)
        try connection.output.list(response.products, Field.product, response: response)
        connection.output.remark(footer(response))
    }

    private func footer(_ response: Catalog.ListProductsResponse) -> String {
        let products = response.totalSize == 1 ? "1 product" : "\(response.totalSize) products"
        if response.pageCount == 0 { return products }
        let place = pageToken == nil ? "page \(max(page ?? 1, 1)) of \(response.pageCount)" : "a page of \(response.pageCount)"
        let next = response.nextPageToken.isEmpty ? "" : "; next: --page-token \(response.nextPageToken)"
        return "\(products), \(place)\(next)"
    }
}
