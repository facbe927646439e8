import ArgumentParser
import Protobuf

/// What verbs take that list something page by page.
struct PagingOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: ArgumentHelp("Rows on a page, at most 1000. 0 means 10.", valueName: "n"))
    var pageSize: Int32?

    // Tokens may begin with a dash.
    @Option(parsing: .unconditional, help: ArgumentHelp("The token that the page before ended with.", valueName: "token"))
    var pageToken: String?

    @Flag(help: "Print all pages, each row as it comes.")
    var all = false

    /// Rows of each page where all are printed and nobody says how many are to be fetched at once.
    private static let sizeForAll: Int32 = 500

    var size: Int32 { pageSize ?? (all ? Self.sizeForAll : 0) }

    /// Prints one page, or all from there on.
    ///
    /// - Parameter fetch: gets the page that a token stands for: the response, its rows, and the token of the next page.
    func run<Item: Message, Response: Message>(
        _ output: Output, _ fields: [Field<Item>], fetch: (String) async throws -> (Response, [Item], String)
    ) async throws {
        guard all else {
            let (response, items, next) = try await fetch(pageToken ?? "")
            try output.list(items, fields, response: response)
            if !next.isEmpty { output.remark("next: --page-token \(next)") }
            return
        }
        let lines = output.lines(fields)
        var token = pageToken ?? ""
        repeat {
            let page = try await fetch(token)
            for item in page.1 { try lines.write(item) }
            token = page.2
        } while !token.isEmpty
    }
}
