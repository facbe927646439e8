import ArgumentParser

/// `orderwire orders`
struct OrdersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "orders", abstract: "Submit orders, and learn what became of them.",
        discussion: """
            Examples:
              orderwire orders submit --item chinook-1=2 --key basket-4711 --wait
              orderwire orders get 4QZ5T2J6V7R3K8M1N0P9S2W4X6
              orderwire orders list --state rejected --after 24h
              orderwire orders watch --group mailer -o jsonl
            """,
        subcommands: [
            OrdersSubmit.self, OrdersGet.self, OrdersList.self, OrdersWait.self, OrdersCancel.self, OrdersParked.self, OrdersRequeue.self,
            OrdersWatch.self,
        ])
}
