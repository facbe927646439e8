import ArgumentParser

/// `orderwire orders`
struct OrdersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "orders", abstract: "Submit orders, and learn what became of them.",
        subcommands: [OrdersSubmit.self, OrdersGet.self, OrdersWait.self, OrdersWatch.self])
}
