import ArgumentParser
import ProtoShop
import RPC

/// `orderwire orders parked`
struct OrdersParked: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "parked", abstract: "List the caller's orders that cannot be decided, and why.",
        discussion: """
            Examples:
              orderwire orders parked
              orderwire orders parked --all -o jsonl

            An order whose settlement fails three times by itself is put aside, so that it stands in nobody's way. It stays accepted. \
            Once the reason is mended, `orders requeue` has it tried again; `orders cancel` gives it up.
            """)

    @OptionGroup var paging: PagingOptions
    @OptionGroup var options: ClientOptions

    func run(_ connection: Connection) async throws {
        try await paging.run(connection.output, Field.parkedOrder) { token in
            let response = try await connection.orders.listParkedOrders(
                .init(pageSize: paging.size, pageToken: token), options: connection.callOptions)
            return (response, response.orders, response.nextPageToken)
        }
    }
}
