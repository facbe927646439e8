import ArgumentParser
import FoundationEssentials
import ProtoShop
import RPC

/// `orderwire orders submit`
struct OrdersSubmit: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit", abstract: "Submit an order.",
        discussion: """
            Examples:
              orderwire orders submit --item chinook-1=2 --item chinook-7=1
              orderwire orders submit --item chinook-1=2 --key basket-4711 --wait
              orderwire orders submit --item chinook-1=2 --expect "1.98 USD" -o json

            The same key with the same items is the same order, however often it is submitted. Without --key a new one is made.
            """)

    @Option(parsing: .upToNextOption, help: ArgumentHelp("Product and quantity; as often as needed.", valueName: "id=qty"))
    var item: [OrderItem] = []

    @Option(help: ArgumentHelp("Idempotency key, 1 to 64 characters.", valueName: "key"))
    var key: String?

    @Option(help: ArgumentHelp("Reject the order if it comes to another total.", valueName: "amount"))
    var expect: String?

    @Flag(help: "Check the form of the order, and store nothing.")
    var validateOnly = false

    @Flag(help: "Wait until the order is final, for as long as --timeout allows.")
    var wait = false

    @OptionGroup var options: ClientOptions

    func validate() throws {
        if item.isEmpty { throw ValidationError("An order needs at least one --item.") }
        if let expect, Catalog.Money(text: expect) == nil {
            throw ValidationError("--expect: '\(expect)' is not right; allowed: an amount like \"1.98 USD\"")
        }
    }

    func run(_ connection: Connection) async throws {
        let request = Orders.SubmitOrderRequest(
            idempotencyKey: key ?? UUID().uuidString.lowercased(),
            lines: item.map { Orders.OrderLine(productId: $0.productID, quantity: $0.quantity) },
            expectedTotal: expect.flatMap(Catalog.Money.init(text:)), validateOnly: validateOnly)
        var response = try await connection.orders.submitOrder(request, options: connection.callOptions)
        if wait, !validateOnly, let order = response.order {
            response.order = try await OrderWaiter(connection).final(order.id) ?? order
        }
        try connection.output.item(response.order ?? .init(), Field.order, response: response)
        if validateOnly { connection.output.remark("The order is well-formed. Nothing was stored.") }
        if response.replayed { connection.output.remark("This key had been submitted before; this is that order.") }
    }
}

/// A product and how many of it, as in "chinook-1=2".
struct OrderItem: ExpressibleByArgument, Equatable {
    let productID: String
    let quantity: Int32

    init?(argument: String) {
        // Ids may hold '=', numbers do not.
        guard let separator = argument.lastIndex(of: "="), separator != argument.startIndex,
            let quantity = Int32(argument[argument.index(after: separator)...])
        else { return nil }
        self.productID = String(argument[..<separator])
        self.quantity = quantity
    }
}
