import MongoDB
import ProtoShop
import RPC
import Testing

extension EndToEnd {
    /// Orders that cannot be decided, and the verbs for them.
    @Suite struct ParkedOrdersTests {
        @Test func aParkedOrderIsListedMendedAndTriedAgain() async throws {
            try await withTemporaryMongod { database in
                try await ServerProcess.with(database) { server in
                    let shell = Shell(server)
                    let pool = try ClientPool.passing(uri: server.mongodb, appName: "vandal", size: 1, timeouts: .calls)
                    try pool.withClient { client throws(MongoError) in
                        try client.collection("products", in: "orderwire").insertOne(
                            Document { $0.append("_id", "broken"); $0.append("stock", 5) })
                    }
                    let submitted = try await shell.json("orders", "submit", "--item", "broken=2", "--key", "bad", "-o", "json")
                    let id = try #require(submitted["order"]?.string("id"))
                    let parked = try await firstParked(shell)
                    #expect(parked["order"]?.string("id") == id && parked.string("reason")?.contains("price") == true)
                    let table = try await shell.run("orders", "parked", "--all")
                    #expect(table.lines.count == 1 && table.output.contains("broken=2"))

                    #expect(try await shell.run("orders", "requeue", id, "--client", "somebody-else").end == .exited(69))
                    _ = try pool.withClient { client throws(MongoError) in
                        try client.collection("products", in: "orderwire").deleteOne(Document { $0.append("_id", "broken") })
                    }
                    let csv = "id,name,category,price,currency,stock\nbroken,Mended,Rock,1.00,USD,5\n"
                    #expect(try await shell.run("products", "import", "-", "--format", "csv", input: csv).end == .exited(0))
                    #expect(try await shell.run("orders", "requeue", "--all").output == "1 requeued\n")
                    let order = try await shell.json("orders", "wait", id, "--timeout", "60s", "-o", "json")
                    #expect(order["order"]?.string("state") == "ORDER_STATE_FULFILLED")
                    #expect(try await shell.json("orders", "requeue", id, "-o", "json") == .object(["requeued": .number(0)]))
                    #expect(try await shell.run("orders", "parked", "-o", "jsonl").output == "")
                }
            }
        }

        private func firstParked(_ shell: Shell) async throws -> JSON {
            for _ in 0..<100 {
                if let first = try await shell.json("orders", "parked", "-o", "json")["orders"]?[0] { return first }
                try await Task.sleep(for: .milliseconds(100))
            }
            throw NothingParked()
        }

        private struct NothingParked: Error {}
    }
}
