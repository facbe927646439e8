import ArgumentParser
import ProtoRuntime
import ProtoShop
import RPC

/// `orderwire orders list`
struct OrdersList: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the caller's orders, newest first.",
        discussion: """
            Examples:
              orderwire orders list
              orderwire orders list --state rejected --after 24h
              orderwire orders list --after 2026-11-23T00:00:00Z --before 2026-11-24T00:00:00Z --all -o csv > day.csv

            A time is one like 2026-11-23T12:00:00Z, or how long ago it was, like 90m; --page-token goes with the former only, as its \
            list has to be the same. A page may have fewer orders than asked for \
            before the last one; --all prints all pages.
            """)

    @Option(help: "Keep orders in this state: accepted, fulfilled, rejected or cancelled.")
    var state: State?

    enum State: String, CaseIterable, ExpressibleByArgument {
        case accepted, fulfilled, rejected, cancelled

        var proto: Orders.OrderState {
            switch self {
            case .accepted: .accepted
            case .fulfilled: .fulfilled
            case .rejected: .rejected
            case .cancelled: .cancelled
            }
        }
    }

    @Option(help: ArgumentHelp("Keep orders accepted at this time or later.", valueName: "time"))
    var after: String?

    @Option(help: ArgumentHelp("Keep orders accepted before this time.", valueName: "time"))
    var before: String?

    @OptionGroup var paging: PagingOptions
    @OptionGroup var options: ClientOptions

    func validate() throws {
        _ = try Self.time(after, "--after")
        _ = try Self.time(before, "--before")
    }

    func run(_ connection: Connection) async throws {
        var request = Orders.ListOrdersRequest(
            state: state?.proto ?? .unspecified, acceptedAfter: try Self.time(after, "--after"),
            acceptedBefore: try Self.time(before, "--before"), pageSize: paging.size)
        try await paging.run(connection.output, Field.order) { token in
            request.pageToken = token
            let response = try await connection.orders.listOrders(request, options: connection.callOptions)
            return (response, response.orders, response.nextPageToken)
        }
    }

    private static func time(_ text: String?, _ flag: String) throws -> WellKnown.Timestamp? {
        guard let text else { return nil }
        guard let time = WellKnown.Timestamp(text: text) else {
            throw ValidationError("\(flag): '\(text)' is not right; allowed: a time like 2026-11-23T12:00:00Z, or how long ago, like 90m")
        }
        return time
    }
}
