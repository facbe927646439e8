import Glibc
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
                try await first.withChannel { try await $0.catalog.importAll([Self.product]) }

                let both = try await submit("calm", to: [first, second])
                for id in both { #expect(try await state(of: id, at: second) == .fulfilled) }

                let before = try #require(try Lease(uri))
                #expect([first, second].contains { before.isHeld(by: $0) })
                let (settler, other) = before.isHeld(by: first) ? (first, second) : (second, first)
                // Orders wait for the settler, or are in its hands, when it dies.
                async let submitted = submit("storm", to: [other])
                await settler.kill()
                for id in try await submitted { #expect(try await state(of: id, at: other) == .fulfilled) }

                let after = try #require(try Lease(uri))
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

        /// How long nobody settles when the settler ends in this way. The bounds leave room for a machine that has much else to do.
        @Test(arguments: [(SIGKILL, Duration.seconds(2)), (SIGTERM, .milliseconds(500))])
        func theOtherGoesOn(signal: Int32, promise: Duration) async throws {
            try await withMongod { uri in
                let first = try await ServerProcess.start(.external(uri: uri))
                try await first.withChannel { try await $0.catalog.importAll([Self.product]) }
                for id in try await submit("first", to: [first]) { #expect(try await state(of: id, at: first) == .fulfilled) }
                let second = try await ServerProcess.start(.external(uri: uri))
                // The first one, but where the machine stood still for longer than a lease.
                let (settler, other) = try #require(try Lease(uri)).isHeld(by: second) ? (second, first) : (first, second)
                let orders = try await submit("second", to: [other])
                for id in orders { #expect(try await state(of: id, at: other) == .fulfilled) }
                settler.process.signal(signal)
                _ = await settler.process.ended()
                let end = ContinuousClock.now
                let lease = try #require(try Lease(uri))
                if signal == SIGTERM { #expect(lease.isReleased || lease.isHeld(by: other), "it was not given back") }
                let ids = try await submit("third", to: [other])
                for id in ids { #expect(try await state(of: id, at: other) == .fulfilled) }
                let gap = ContinuousClock.now - end
                print("signal \(signal): the other server had settled everything \(gap) later")
                #expect(gap < promise + .seconds(8))
                #expect(try Lease(uri)?.isHeld(by: other) == true)
                await other.kill()
            }
        }

        /// A server that is started again under its name does not wait for the end of the lease that it held when it was killed.
        @Test(arguments: [true, false]) func theSameServerGoesOnAtOnce(isEmbedded: Bool) async throws {
            func check(_ database: ServerProcess.Database) async throws {
                let endpoint = ServerProcess.freeEndpoint()
                let first = try await ServerProcess.start(database, at: endpoint)
                try await first.withChannel { try await $0.catalog.importAll([Self.product]) }
                for id in try await submit("first", to: [first]) { #expect(try await state(of: id, at: first) == .fulfilled) }
                await first.killAtOnce()
                // Whoever waits for its end waits for too long. An embedded MongoDB is gone, too.
                if case .external(let uri) = database { try Lease.extend(in: uri) }
                let killed = ContinuousClock.now
                let second = try await ServerProcess.start(database, at: endpoint)
                let ready = ContinuousClock.now
                for id in try await submit("second", to: [second]) { #expect(try await state(of: id, at: second) == .fulfilled) }
                print("killed: serves again after \(ready - killed), has settled after \(ContinuousClock.now - killed)")
                #expect(ContinuousClock.now - killed < .seconds(20))
                await second.kill()
            }
            if isEmbedded {
                try await withTemporaryFolder { try await check(.embedded(folder: $0)) }
            } else {
                try await withMongod { try await check(.external(uri: $0)) }
            }
        }

        private static let product = Catalog.Product(
            id: "p", name: "Product", category: "Things", price: .init(currencyCode: "USD", units: 1), stock: 10_000)

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
