import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

extension DatabaseFailureTests {
    @Suite("Conservation")
    struct ConservationTests {
        private static let products = 8
        private static let initialStock: Int64 = 120
        private static let keys = 300
        private static let lanes = 5

        @Test("two servers, repeated keys, and a database that fails all the time: one order a key, stock exact", arguments: Seeds.fresh(2))
        func underFailures(seed: UInt64) async throws {
            let first = try RunningShop(on: FaultyMongo.shared)
            let second = try RunningShop(database: first.database, on: FaultyMongo.shared)
            let shops = [first, second]
            defer { for shop in shops { shop.stop() } }
            var random = SeededGenerator(seed: seed)
            try await first.withClient { catalog, _ in
                _ = try await catalog.importProducts(
                    .init(products: (0..<Self.products).map { .sample("p\($0)", stock: Self.initialStock) }))
            }
            let requests = (0..<Self.keys).map { index in
                let lines = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                    ("p\(Int.random(in: 0..<Self.products, using: &random))", Int32.random(in: 1...4, using: &random))
                }
                return Orders.SubmitOrderRequest.sample("key-\(index)", lines)
            }
            let failures = Task {
                var random = SeededGenerator(seed: seed &+ 1)
                while !Task.isCancelled {
                    try Self.injectFailure(shops, &random)
                    try await Task.sleep(for: .milliseconds(10))
                }
            }
            // Each key is submitted at both servers until somebody says ACCEPTED.
            let ids = try await withThrowingTaskGroup(of: [String].self) { group in
                for shop in shops {
                    group.addTask { try await Self.submitAll(requests, to: shop) }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            failures.cancel()
            // Ends by its cancellation, or by what should fail the test.
            do { try await failures.value } catch is CancellationError {}
            try first.heal()
            #expect(ids.count == 1)
            try await check(requests, first)
        }

        /// Few at a time, so that there are many settlements to fail. Returns the ids, so that those of two servers can be compared.
        private static func submitAll(_ requests: [Orders.SubmitOrderRequest], to shop: RunningShop) async throws -> [String] {
            try await shop.withClient("buyer") { _, orders in
                try await withThrowingTaskGroup(of: [Int: String].self) { group in
                    for lane in 0..<lanes {
                        group.addTask {
                            var ids: [Int: String] = [:]
                            for index in stride(from: lane, to: requests.count, by: lanes) {
                                ids[index] = try await submit(requests[index], orders)
                            }
                            return ids
                        }
                    }
                    let ids = try await group.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
                    return requests.indices.map { ids[$0] ?? "" }
                }
            }
        }

        private static func submit(_ request: Orders.SubmitOrderRequest, _ orders: Orders.OrderService.Client) async throws -> String {
            while true {
                do throws(RPCError) {
                    return try await orders.submitOrder(request, options: CallOptions(timeout: .seconds(10))).order?.id ?? ""
                } catch {
                    guard [.unavailable, .deadlineExceeded, .resourceExhausted].contains(error.code) else { throw error }
                }
                await Task.yield()
            }
        }

        private static func injectFailure(_ shops: [RunningShop], _ random: inout SeededGenerator) throws {
            let commands = ["insert", "find", "update", "findAndModify", "aggregate", "commitTransaction", "commitTransaction", "commitTransaction"]
            let command = commands[Int.random(in: 0..<commands.count, using: &random)]
            let kind = Int.random(in: 0..<3, using: &random)
            do {
                try shops[Int.random(in: 0..<shops.count, using: &random)].fail([command], times: Int.random(in: 1...3, using: &random)) { data in
                    switch kind {
                    case 0:
                        data.append("closeConnection", true)
                    case 1:
                        data.append("errorCode", Int32(112))  // WriteConflict
                        data.append("errorLabels", ["TransientTransactionError"])
                    default:
                        data.document("writeConcernError") {
                            $0.append("code", Int32(64))
                            $0.append("errmsg", "waiting for replication timed out")
                        }
                    }
                }
            } catch is MongoError {
                // The failure before this one hit the command that was to inject it.
            }
        }

        /// Everything is final, has one number and one row, and what was sold is what is missing on the shelves.
        private func check(_ requests: [Orders.SubmitOrderRequest], _ shop: RunningShop) async throws {
            try await shop.withClient("buyer") { catalog, orders in
                var sold: [String: Int64] = [:]
                var sequences: [Int64] = []
                for request in requests {
                    let id = OrderID.make(identity: "buyer", key: request.idempotencyKey)
                    let order = try await eventually {
                        do throws(RPCError) {
                            let order = try await orders.getOrder(.init(id: id)).order
                            return order?.sequence ?? 0 > 0 ? order : nil
                        } catch {
                            return nil
                        }
                    }
                    sequences.append(order.sequence)
                    guard order.state == .fulfilled else { continue }
                    for line in order.lines { sold[line.productId, default: 0] += Int64(line.quantity) }
                }
                #expect(sequences.sorted() == Array(1...Int64(requests.count)))
                for index in 0..<Self.products {
                    let stock = try await catalog.getProduct(.init(id: "p\(index)")).product?.stock
                    #expect(stock == Self.initialStock - sold["p\(index)", default: 0])
                    #expect((stock ?? -1) >= 0)
                }
                let completions = try await orders.listCompletions(.init(filter: .all, maxCount: 1000)).completions
                #expect(completions.map(\.sequence) == Array(1...Int64(requests.count)))
                #expect(Set(completions.map(\.idempotencyKey)).count == requests.count)
            }
        }
    }
}
