import ArgumentParser
import ProtoRuntime
import RPC

/// `orderwire list`
struct List: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the methods of a server, whatever it serves.",
        discussion: """
            Examples:
              orderwire list
              orderwire list CatalogService
              orderwire list --server tcp://127.0.0.1:7500 -o json

            A name may be the end of a full one where only one ends so.
            """)

    @Argument(help: "Name of a service; without it, all.")
    var service: String?

    @OptionGroup var options: ClientOptions

    func run(_ connection: Connection) async throws {
        let description = try await ServerDescription(connection)
        var methods = description.methods
        if let service {
            let name = try ShortName.find(service, among: description.services, kind: "service").fullName
            methods = methods.filter { $0.method.hasPrefix(name + "/") }
        }
        try connection.output.list(methods, Field.method, response: Runtime.DescribeResponse(methods: methods))
    }
}
