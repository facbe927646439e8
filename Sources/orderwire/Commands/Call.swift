import ArgumentParser
import ProtoRuntime
import ProtoShop
import Protobuf
import RPC
import Terminal

/// `orderwire call`
struct Call: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "call", abstract: "Call any method with a request in JSON.",
        discussion: """
            Examples:
              orderwire call RuntimeService/Stats
              orderwire call CatalogService/ListProducts -d '{"pageSize": 3}'
              orderwire call GetOrder -d @request.json --timeout 500ms --explain
              echo '{"id": "a"}' | orderwire call GetProduct -d @-

            The name may be the end of the full one where only one ends so. Requests and responses are ProtoJSON: \
            `orderwire describe METHOD` shows their fields. The response is one JSON value; with -o jsonl on one line.
            """)

    @Argument(help: "The method, as in CatalogService/ListProducts.", completion: .list(Self.names))
    var method: String

    @Option(name: [.customShort("d"), .long], help: ArgumentHelp(
        "The request: JSON, @ and the name of a file, or @- for standard input.", valueName: "json|@file|@-"))
    var data: String = "{}"

    @OptionGroup var options: ClientOptions

    /// The methods that this program knows the messages of.
    private static let methods =
        Catalog.CatalogService.methods + Orders.OrderService.methods + Runtime.HealthService.methods + Runtime.RuntimeService.methods

    /// Their full names, and those without the package.
    private static let names = methods.flatMap { [$0.fullName, String($0.fullName.split(separator: ".").last ?? "")] }

    func validate() throws {
        if options.format == .csv { throw ValidationError("call prints no CSV; there are table, json and jsonl") }
    }

    func run(_ connection: Connection) async throws {
        let method = try ShortName.find(
            method, among: Self.methods.map { ($0.fullName, $0) }, kind: "method",
            hint: "call knows the messages of this program's own services only")
        let call = try read(for: method)
        let form = JSONOptions(isPretty: connection.output.format != .jsonl)
        let response = try await call.run(connection.invoker, options: connection.callOptions, form: form)
        StandardStream.output.write(response + "\n")
    }

    private func read(for method: AnyMethod) throws(UsageError) -> AnyCall {
        // A lone @ is standard input to users of grpcurl.
        let json = data == "@" ? try text(ofFile: "-") : data.hasPrefix("@") ? try text(ofFile: String(data.dropFirst())) : data
        do throws(JSONDecodingError) {
            return try method.call(json.allSatisfy(\.isWhitespace) ? "{}" : json)
        } catch {
            throw UsageError("the request of \(method.fullName): \(error)")
        }
    }

    private func text(ofFile path: String) throws(UsageError) -> String {
        guard let text = String(validating: try InputFile.read(path), as: UTF8.self) else { throw UsageError("\(path): not UTF-8") }
        return text
    }
}
