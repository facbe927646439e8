import ArgumentParser
import ProtoShop
import RPC

/// `orderwire orders wait`
struct OrdersWait: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Wait until an order is final, and show it.",
        discussion: """
            Examples:
              orderwire orders wait 4QZ5T2J6V7R3K8M1N0P9S2W4X6
              orderwire orders wait 4QZ5T2J6V7R3K8M1N0P9S2W4X6 --timeout 1m

            When the time is over the order is shown as it is, and that is no failure.
            """)

    @Argument(help: "Id of the order.")
    var id: String

    @OptionGroup var options: ClientOptions

    func run(_ connection: Connection) async throws {
        let order = try await OrderWaiter(connection).final(id)
        try connection.output.item(order ?? .init(), Field.order, response: Orders.WaitOrderResponse(order: order))
    }
}

/// Waits for orders within the time that a call may take.
struct OrderWaiter {
    private let connection: Connection

    /// The answer has to come back before the call's own time is over.
    private static let reserve = Duration.milliseconds(200)
    /// The longest wait that the API takes.
    private static let longestWait = Duration.seconds(60)

    init(_ connection: Connection) {
        self.connection = connection
    }

    /// The order as it is when it became final, or when the time was over.
    func final(_ id: String) async throws(RPCError) -> Orders.Order? {
        let end = ContinuousClock.now + connection.timeout
        while true {
            let rest = end - .now
            let wait = min(max(.zero, rest - Self.reserve), Self.longestWait)
            let order = try await connection.orders.waitOrder(
                .init(id: id, waitTime: .init(wait)), options: .init(timeout: wait + Self.reserve)
            ).order
            if order?.state.isFinal != false || wait < Self.longestWait { return order }
        }
    }
}
