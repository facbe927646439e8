import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

@Suite("Orders of others", .serialized)
struct ForeignOrderTests {
    /// The calls of a method that names an order; nil where it names none.
    private func call(_ method: AnyMethod, _ id: String) -> AnyCall? {
        for request in [#"{"id": "\#(id)"}"#, #"{"ids": ["\#(id)"]}"#] {
            if let call = try? method.call(request) { return call }
        }
        return nil
    }

    @Test("whatever their state, another client's order is answered with the same bytes as one that does not exist, and is not touched")
    func sameBytes() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        _ = try shop.inDatabase { client throws(MongoError) in
            try client.collection(CollectionName.products, in: shop.database).insertOne(
                Document { $0.append("_id", "broken"); $0.append("stock", 5) })
        }
        try await shop.withClient("owner") { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            var ids: [String: String] = [:]
            for (name, product) in [("fulfilled", "a"), ("rejected", "none"), ("parked", "broken")] {
                ids[name] = try #require(try await orders.submitOrder(.sample(name, [(product, Int32(1))])).order?.id)
            }
            for name in ["fulfilled", "rejected"] { _ = try await orders.settled(try #require(ids[name])) }
            try await eventually { try await orders.listParkedOrders(.init()).orders.count == 1 }
            let before = try await orders.listOrders(.init()).orders
            #expect(before.count == 3)
            do {
                let channel = try shop.channel("stranger")
                defer { channel.close() }
                let stranger = Orders.OrderService.Client(channel)
                ids["missing"] = OrderID.make(identity: "owner", key: "never submitted")
                ids["no id"] = "no id"
                let methods = Orders.OrderService.methods.filter { call($0, "x") != nil }
                #expect(methods.count >= 4)
                for method in methods {
                    let name = method.fullName
                    var answers: [String: [UInt8]] = [:]
                    for (kind, id) in ids {
                        guard let named = call(method, id) else { continue }
                        let error = await failure { () throws(RPCError) in try await named.run(channel, options: CallOptions()) }
                        #expect(error?.code == .notFound && error?.disposition == .executed, "\(name) of \(kind): \(String(describing: error))")
                        answers[kind] = error?.statusPayload()
                    }
                    #expect(Set(answers.values).count == 1 && answers.count == ids.count, "\(name)")
                    #expect(answers["missing"] == OrderReader.notFound.statusPayload())
                }
                #expect(try await stranger.listOrders(.init()).orders.isEmpty)
                #expect(try await stranger.listParkedOrders(.init()).orders.isEmpty)
                #expect(try await stranger.listCompletions(.init()).completions.isEmpty)
            }
            #expect(try await orders.listOrders(.init()).orders == before)
            #expect(try await orders.listParkedOrders(.init()).orders.count == 1)
            #expect(try shop.count(CollectionName.orders, Document { filter in filter.document("cancel") { $0.append("$exists", true) } }) == 0)
        }
    }
}
