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
              orderwire products list --in-stock --name-prefix tea --total exact
              orderwire products list --order-by price --min-price 0.99 --max-price 1.99 --currency USD

            --min-price and --max-price go with the orders by price, --name-prefix with those by name.
            """)

    @Option(help: ArgumentHelp("Keep products whose category contains this text; case does not matter.", valueName: "text"))
    var category: String?

    @Option(help: ArgumentHelp("name, \"name desc\", price or \"price desc\".", valueName: "order"))
    var orderBy: String?

    @Flag(name: .customLong("in-stock"), help: "Keep products of which there is at least one.")
    var inStockOnly = false

    @Option(parsing: .unconditional, help: ArgumentHelp("Keep products that cost this much or more.", valueName: "amount"))
    var minPrice: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Keep products that cost this much or less.", valueName: "amount"))
    var maxPrice: String?

    @Option(help: ArgumentHelp("The currency of --min-price and --max-price.", valueName: "code"))
    var currency: String?

    @Option(parsing: .unconditional, help: ArgumentHelp(
        "Keep products whose name begins with this text; case and accents do not matter.", valueName: "text"))
    var namePrefix: String?

    @Option(help: "exact counts all that match; none does not. Without it, they are counted where that costs nothing.")
    var total: Total?

    enum Total: String, CaseIterable, ExpressibleByArgument {
        case exact, none
    }

    @Option(parsing: .unconditional, help: ArgumentHelp("Number of the page, from 1.", valueName: "n"))
    var page: Int32?

    @Option(parsing: .unconditional, help: ArgumentHelp("Products on a page, at most 1000. 0 means 10.", valueName: "n"))
    var pageSize: Int32?

    // Tokens may begin with a dash.
    @Option(parsing: .unconditional, help: ArgumentHelp("The token that the page before ended with, instead of --page.", valueName: "token"))
    var pageToken: String?

    @OptionGroup var options: ClientOptions

    func validate() throws {
        _ = try money(minPrice, "--min-price")
        _ = try money(maxPrice, "--max-price")
    }

    func run(_ connection: Connection) async throws {
        let totalMode: Catalog.TotalMode = total.map { $0 == .exact ? .exact : .none } ?? .unspecified
        let request = Catalog.ListProductsRequest(
            category: category ?? "", orderBy: orderBy ?? "", pageSize: pageSize ?? 0, page: page ?? 0, pageToken: pageToken ?? "",
            inStockOnly: inStockOnly, minPrice: try money(minPrice, "--min-price"), maxPrice: try money(maxPrice, "--max-price"),
            namePrefix: namePrefix ?? "", totalMode: totalMode)
        let response = try await connection.catalog.listProducts(request, options: connection.callOptions)
        try connection.output.list(response.products, Field.product, response: response)
        connection.output.remark(footer(response))
    }

    private func money(_ amount: String?, _ flag: String) throws -> Catalog.Money? {
        guard let amount else { return nil }
        guard let currency else { throw ValidationError("\(flag) needs --currency, as in --currency USD") }
        guard let money = Catalog.Money(decimal: amount, currency: currency.uppercased()) else {
            throw ValidationError("\(flag): '\(amount)' is not right; allowed: an amount like 1.98")
        }
        return money
    }

    private func footer(_ response: Catalog.ListProductsResponse) -> String {
        let next = response.nextPageToken.isEmpty ? "" : "; next: --page-token \(response.nextPageToken)"
        let page = pageToken == nil ? "page \(max(page ?? 1, 1))" : "a page"
        if response.totalMode != .exact { return "\(page)\(next)" }
        let products = response.totalSize == 1 ? "1 product" : "\(response.totalSize) products"
        return response.pageCount == 0 ? products : "\(products), \(page) of \(response.pageCount)\(next)"
    }
}
