import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

extension EndToEnd {
    /// Two servers on one MongoDB.
    @Suite struct TakeoverTests {
        private static let ordersOfARound = 60

        @Test func bothAcceptAndOneSettlesUntilItIsKilled() async throws {
            try await withMongod { uri in
                let first = try await ServerProcess.start(.external(uri: uri))
                let second = try await ServerProcess.start(.external(uri: uri))
                let product = Catalog.Product(
                    id: "p", name: "Product", category: "Things", price: .init(currencyCode: "USD", units: 1), stock: 10_000)
                try await first.withChannel { try await $0.catalog.importAll([product]) }

                let both = try await submit("calm", to: [first, second])
                for id in both { #expect(try await state(of: id, at: second) == .fulfilled) }

                let before = try Lease(uri)
                #expect([first, second].contains { before.isHeld(by: $0) })
                let (settler, other) = before.isHeld(by: first) ? (first, second) : (second, first)
                // Orders wait for the settler, or are in its hands, when it dies.
                async let submitted = submit("storm", to: [other])
                await settler.kill()
                for id in try await submitted { #expect(try await state(of: id, at: other) == .fulfilled) }

                let after = try Lease(uri)
                #expect(after.isHeld(by: other))
                #expect(after.epoch > before.epoch)
                try await other.withChannel { channel in
                    let log = try await channel.orders.allCompletions()
                    #expect(log.map(\.sequence) == (1...Int64(2 * Self.ordersOfARound)).map { $0 })
                    #expect(try await channel.catalog.getProduct(.init(id: "p")).product?.stock == 10_000 - Int64(log.count))
                }
                await other.kill()
            }
        }

        /// Submits a round of orders, at the servers in turn, all at once, and returns their ids.
        private func submit(_ round: String, to servers: [ServerProcess]) async throws -> [String] {
            let channels = try servers.map { try $0.channel("buyer") }
            defer { for channel in channels { channel.close() } }
            return try await withThrowingTaskGroup(of: String?.self) { tasks in
                for number in 0..<Self.ordersOfARound {
                    tasks.addTask {
                        let request = Orders.SubmitOrderRequest(
                            idempotencyKey: "\(round)-\(number)", lines: [.init(productId: "p", quantity: 1)])
                        return try await channels[number % channels.count].orders.submitOrder(request, options: patient).order?.id
                    }
                }
                return try await tasks.reduce(into: []) { ids, id in if let id { ids.append(id) } }
            }
        }

        private func state(of id: String, at server: ServerProcess) async throws -> Orders.OrderState {
            try await server.withChannel("buyer") { try await $0.orders.settled(id).state }
        }
    }
}

/// Who settles.
private struct Lease {
    var epoch: Int64
    var holder: String

    init(_ uri: String) throws {
        let pool = try ClientPool(uri: uri, appName: "checker", size: 1, timeouts: .background)
        let lease = try pool.withClient { client throws(MongoError) in
            try client.collection("leases", in: "orderwire").findOne(Document()) { row throws(MongoError) in
                (epoch: try row.int64("epoch"), holder: try row.string("holder"))
            }
        }
        (epoch, holder) = try #require(lease)
    }

    func isHeld(by server: ServerProcess) -> Bool { holder.hasSuffix(":\(server.process.pid)") }
}
