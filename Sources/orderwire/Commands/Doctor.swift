import ArgumentParser
import ProtoShop
import RPC

/// `orderwire doctor`
struct Doctor: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check the catalogue: counts, keys and indexes.",
        discussion: """
            Examples:
              orderwire doctor
              orderwire doctor --repair
              orderwire doctor -o json

            Reads all products as they are at one moment, beside whatever else goes on. Exits with 0 where nothing was found, \
            with 1 where something was, mended or not.
            """)

    @Flag(help: "Mend what can be mended. It is safe beside other calls.")
    var repair = false

    @OptionGroup var options: ClientOptions

    /// A million products take some ten seconds.
    private static let patience = Duration.seconds(240)

    func run(_ connection: Connection) async throws {
        var call = connection.callOptions
        if !options.hasTimeout { call.timeout = Self.patience }
        let response = try await connection.catalog.checkCatalog(.init(repair: repair), options: call)
        if connection.output.format != .table || !response.findings.isEmpty {
            try connection.output.list(response.findings, Field.finding, response: response)
        }
        connection.output.remark(summary(response))
        if response.findingCount > 0 { throw ExitCode(ExitStatus.failure) }
    }

    private func summary(_ response: Catalog.CheckCatalogResponse) -> String {
        let found =
            switch response.findingCount {
            case 0: "nothing found"
            case let count: "\(count) found, \(response.repairedCount) mended"
            }
        return "\(response.productCount) products in \(response.categoryCount) categories: \(found)"
    }
}
