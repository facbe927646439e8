import ArgumentParser
import ProtoShop
import RPC
import ShopClient

/// `orderwire orders watch`
struct OrdersWatch: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Print each completion as it happens.",
        discussion: """
            Examples:
              orderwire orders watch --group mailer
              orderwire orders watch --group audit --filter all --after 0 -o jsonl
              orderwire orders watch --group mailer --count 1

            A group is durable: what completes while nobody watches is printed at the next watch. Several may watch one group at \
            once, wherever they run, and share its completions out among them; what one leaves unfinished goes to another. \
            Each completion is printed at least once; in order, where one watches. Runs until Ctrl-C; a restart of the server does not \
            end it.
            """)

    enum Filter: String, CaseIterable, ExpressibleByArgument {
        case mine
        case all
    }

    @Option(help: ArgumentHelp("Name of the group; the caller's own.", valueName: "name"))
    var group: String

    @Option(help: "mine or all, where the server allows it. Fixed when the group is made.")
    var filter = Filter.mine

    @Option(parsing: .unconditional, help: ArgumentHelp("Where a new group starts: after this sequence number. Without it, from now on.", valueName: "n"))
    var after: Int64 = -1

    @Flag(help: "Where completions expired before the group got them, go on after those instead of failing.")
    var skipExpired = false

    @Option(help: ArgumentHelp("End after so many completions.", valueName: "n"))
    var count: Int?

    @OptionGroup var options: ClientOptions

    func validate() throws {
        if !Identity.isValid(group) { throw ValidationError("--group: '\(group)' is not right; allowed: \(Identity.grammar)") }
        if let count, count < 1 { throw ValidationError("--count: at least 1") }
        if after < -1 { throw ValidationError("--after: -1, 0, or a sequence number") }
    }

    func run(_ connection: Connection) async throws {
        let feed = CompletionFeed(
            connection.invoker, group: group, filter: filter == .mine ? .mine : .all, after: after, skipsExpired: skipExpired)
        let lines = connection.output.lines(Field.completion)
        var completions = feed.makeAsyncIterator()
        var printed = 0
        while printed != count, let completion = try await completions.next() {
            try lines.write(completion)
            printed += 1
        }
        await completions.finish()
    }
}
