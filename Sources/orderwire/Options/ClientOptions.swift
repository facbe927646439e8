import ArgumentParser
import Glibc
import RPC

/// What every client verb takes.
struct ClientOptions: ParsableArguments {
    @Option(help: ArgumentHelp(
        "Servers to call: the less loaded of those that are ready. [ORDERWIRE_SERVER, else \(Self.defaultServer)]", valueName: "endpoint,..."))
    var server: String?

    @Option(help: ArgumentHelp("How long a call may take in all. [ORDERWIRE_TIMEOUT, else 5s]", valueName: "time"))
    var timeout: String?

    @Option(help: ArgumentHelp(
        "The name to call under; orders belong to it. [ORDERWIRE_CLIENT, else the user's name]", valueName: "name"))
    var client: String?

    @Option(name: [.customShort("o"), .long], help: ArgumentHelp("Form of what is printed. [ORDERWIRE_OUTPUT, else table]", valueName: "form"))
    var output: OutputFormat?

    @Option(help: ArgumentHelp("A pair that travels with each call; as often as needed.", valueName: "key=value"))
    var metadata: [MetadataPair] = []

    @Flag(help: "Tell on standard error where the time of each call went.")
    var explain = false

    static let defaultServer = "tcp://127.0.0.1:7400"
    static let defaultTimeout = Duration.seconds(5)

    /// The form of what is printed. A wrong value in the environment is refused by `validate`.
    var format: OutputFormat {
        output ?? Setting.text(nil, "ORDERWIRE_OUTPUT").flatMap(OutputFormat.init(rawValue:)) ?? .table
    }

    func validate() throws {
        _ = try callTimeout
        _ = try clientName
        _ = try endpoints
        if let text = Setting.text(nil, "ORDERWIRE_OUTPUT"), OutputFormat(rawValue: text) == nil {
            throw ValidationError("ORDERWIRE_OUTPUT: '\(text)' is none of table, json, jsonl, csv")
        }
    }

    /// Time that a call may take.
    var callTimeout: Duration {
        get throws {
            try Self.duration(timeout, "--timeout", "ORDERWIRE_TIMEOUT", default: Self.defaultTimeout)
        }
    }

    /// Whether somebody has said how long a call may take.
    var hasTimeout: Bool { Setting.text(timeout, "ORDERWIRE_TIMEOUT") != nil }

    /// Endpoints of the servers. At least one.
    var endpoints: [String] {
        get throws {
            try Setting.value(
                server, "--server", "ORDERWIRE_SERVER", default: [Self.defaultServer], allowed: "endpoints like \(Self.defaultServer)"
            ) { text in
                let endpoints = text.split(separator: ",").map { String($0.filter { !$0.isWhitespace }) }
                return !endpoints.isEmpty && endpoints.allSatisfy { $0.hasPrefix("tcp://") || $0.hasPrefix("ipc://") } ? endpoints : nil
            }
        }
    }

    /// The identity to claim.
    var clientName: String {
        get throws {
            let fallback = Identity.isValid(Self.userName) ? Self.userName : "cli"
            return try Setting.value(client, "--client", "ORDERWIRE_CLIENT", default: fallback, allowed: Identity.grammar) {
                Identity.isValid($0) ? $0 : nil
            }
        }
    }

    static func duration(_ flag: String?, _ flagName: String, _ name: String, default fallback: Duration) throws(ValidationError) -> Duration {
        try Setting.value(flag, flagName, name, default: fallback, allowed: "a time like 500ms, 5s, 2m or 1h, not 0") { text in
            Duration(text: text).flatMap { $0 > .zero ? $0 : nil }
        }
    }

    private static var userName: String {
        getpwuid(geteuid()).map { String(cString: $0.pointee.pw_name).lowercased() } ?? ""
    }
}

/// Metadata of a call, as in "tenant=blue".
struct MetadataPair: ExpressibleByArgument, Equatable {
    let key: String
    let value: String

    init?(argument: String) {
        guard let separator = argument.firstIndex(of: "="), separator != argument.startIndex else { return nil }
        self.key = String(argument[..<separator])
        self.value = String(argument[argument.index(after: separator)...])
    }
}
