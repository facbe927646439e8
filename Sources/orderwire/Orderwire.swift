import ArgumentParser

/// The one program: the server and every verb of its clients.
struct Orderwire: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "orderwire",
        abstract: "A product catalogue and order service over ZeroMQ and MongoDB.",
        discussion: """
            Examples:
              orderwire serve --mongodb embedded --data ./data
              orderwire health --wait 10s
              orderwire products import products.csv
              orderwire products list --category rock --order-by "price desc"
              orderwire orders submit --item chinook-1=2 --wait
              orderwire orders watch --group mailer -o jsonl
              orderwire call ListProducts -d '{"pageSize": 3}' --explain

            Data goes to standard output, everything else to standard error. What is said in [brackets] below \
            a flag is its variable of the environment and its default; the flag wins.
            Exit codes: 0; 1 a fault of this program, or something found (doctor); 4 not serving (health); 64 usage; 64 + the status code of a call that \
            failed, as in 69 NOT_FOUND and 78 UNAVAILABLE.
            """,
        version: Version.text,
        subcommands: [
            Serve.self, ProductsCommand.self, OrdersCommand.self, Call.self, List.self, Describe.self, Health.self, Doctor.self,
            Completion.self, VersionCommand.self,
        ])
}

@main
enum Main {
    static func main() async {
        StopSignal.unblock()
        var command: (any ParsableCommand)?
        do {
            var parsed = try Orderwire.parseAsRoot()
            command = parsed
            if var asynchronous = parsed as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try parsed.run()
            }
        } catch {
            Failure.exit(with: error, format: (command as? any ClientCommand)?.options.format ?? .table)
        }
    }
}
