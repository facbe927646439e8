import ArgumentParser
import RPC
import Terminal

/// `orderwire describe`
struct Describe: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe", abstract: "Show services, methods and messages as .proto files do.",
        discussion: """
            Examples:
              orderwire describe
              orderwire describe CatalogService
              orderwire describe ListProducts
              orderwire describe orderwire.catalog.v1.Product -o json

            A method comes with its request and its response. A name may be the end of a full one where only one ends so.
            """)

    @Argument(help: "A service, method, message or enum; without it, all services.")
    var name: String?

    @OptionGroup var options: ClientOptions

    func validate() throws {
        if options.format == .csv { throw ValidationError("describe prints no CSV; there are table, json and jsonl") }
    }

    func run(_ connection: Connection) async throws {
        let description = try await ServerDescription(connection)
        let shown = try entries(description)
        let stream = StandardStream.output
        switch connection.output.format {
        case .table: stream.write(description.text(of: shown, width: stream.width, hasColour: stream.hasColour))
        case .json: stream.write(JSONValue.array(shown.map(\.json)).text(isPretty: true) + "\n")
        case .jsonl, .csv: stream.write(shown.map { $0.json.text() + "\n" }.joined())
        }
    }

    private func entries(_ description: ServerDescription) throws(UsageError) -> [ServerDescription.Entry] {
        guard let name else { return description.services.map { .service($0.value) } }
        let entry = try ShortName.find(name, among: description.entries, kind: "service, method, message or enum")
        guard case .method(let method, _) = entry else { return [entry] }
        return [entry] + [method.request, method.response].compactMap(description.type)
    }
}
