import ArgumentParser
import Glibc
import ProtoShop
import RPC
import Terminal

/// `orderwire products import`
struct ProductsImport: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Insert products, or replace those that exist.",
        discussion: """
            Examples:
              orderwire products import products.csv
              orderwire products import products.jsonl --stock 100
              orderwire products list --page-size 1000 -o jsonl | orderwire products import -

            A CSV file begins with the names of its columns: id, name, category, price, currency, stock, description. \
            JSON lines hold a product each, in the form that `products list -o jsonl` prints. An import that stopped \
            half-way can be run again: it ends up the same.
            """)

    @Argument(help: "The file; - is standard input.")
    var file: String

    @Option(help: "jsonl or csv. Without it, the file's name and first character tell.")
    var format: ProductFile.Format?

    @Option(help: ArgumentHelp("Stock of every product, whatever the file says.", valueName: "n"))
    var stock: Int64?

    @OptionGroup var options: ClientOptions

    /// Below what one request may hold.
    private static let batchSize = 500
    /// Refusals that are told one by one.
    private static let mostRefusalsTold = 20

    func run(_ connection: Connection) async throws {
        let source = try ProductFile(path: file, format: format)
        let bar = ProgressBar("importing", total: source.count)
        var tally = Tally()
        var batch: [(place: String, product: Catalog.Product)] = []
        for row in source.rows {
            switch row.product {
            case .success(var product):
                if let stock { product.stock = stock }
                batch.append((row.place, product))
            case .failure(let error):
                tally.refusals.append("\(row.place): \(error.message)")
                bar.advance()
            }
            if batch.count == Self.batchSize { try await send(&batch, connection, bar, &tally) }
        }
        try await send(&batch, connection, bar, &tally)
        bar.finish()
        try report(tally, connection.output)
    }

    private func send(
        _ batch: inout [(place: String, product: Catalog.Product)], _ connection: Connection, _ bar: ProgressBar, _ tally: inout Tally
    ) async throws(RPCError) {
        if batch.isEmpty { return }
        let response = try await connection.catalog.importProducts(
            .init(products: batch.map(\.product)), options: connection.callOptions)
        tally.inserted += Int(response.insertedCount)
        tally.replaced += Int(response.replacedCount)
        for failure in response.failures where batch.indices.contains(Int(failure.index)) {
            tally.refusals.append("\(batch[Int(failure.index)].place): \(failure.field): \(failure.description)")
        }
        bar.advance(by: batch.count)
        batch.removeAll(keepingCapacity: true)
    }

    private func report(_ tally: Tally, _ output: Output) throws {
        for refusal in tally.refusals.prefix(Self.mostRefusalsTold) {
            StandardStream.error.write("orderwire: \(file.escapingControls): \(refusal.escapingControls)\n")
        }
        let untold = tally.refusals.count - Self.mostRefusalsTold
        if untold > 0 { StandardStream.error.write("orderwire: and \(untold) more\n") }
        output.summary([
            ("inserted", tally.inserted), ("replaced", tally.replaced), ("refused", tally.refusals.count),
        ])
        if !tally.refusals.isEmpty { throw ExitCode(ExitStatus.call(.invalidArgument)) }
    }

    private struct Tally {
        var inserted = 0
        var replaced = 0
        var refusals: [String] = []
    }
}
