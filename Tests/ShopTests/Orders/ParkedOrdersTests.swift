import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

@Suite("Parked orders", .serialized)
struct ParkedOrdersTests {
    /// A shop with a product whose orders cannot be decided, until it is mended.
    private func withPoison(_ body: (RunningShop, Catalog.CatalogService.Client, Orders.OrderService.Client) async throws -> Void) async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        _ = try shop.inDatabase { client throws(MongoError) in
            try client.collection(CollectionName.products, in: shop.database).insertOne(
                Document { $0.append("_id", "broken"); $0.append("stock", 100) })
        }
        try await shop.withClient("alice") { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("a")]))
            try await body(shop, catalog, orders)
        }
    }

    private func mend(_ catalog: Catalog.CatalogService.Client, _ shop: RunningShop) async throws {
        _ = try shop.inDatabase { client throws(MongoError) in
            try client.collection(CollectionName.products, in: shop.database).deleteOne(Document { $0.append("_id", "broken") })
        }
        _ = try await catalog.importProducts(.init(products: [.sample("broken", stock: 100)]))
    }

    /// Submits so many orders of the broken product, and waits until all of them are parked.
    private func park(_ count: Int, _ orders: Orders.OrderService.Client) async throws -> [String] {
        var ids: [String] = []
        for index in 0..<count { ids.append(try #require(try await orders.submitOrder(.sample("bad-\(index)", [("broken", 1)])).order?.id)) }
        try await eventually { try await orders.listParkedOrders(.init(pageSize: 1000)).orders.count == count }
        return ids
    }

    @Test("are listed with the reason, page by page, and only to their client")
    func listed() async throws {
        try await withPoison { shop, _, orders in
            let ids = try await park(5, orders)
            let all = try await orders.listParkedOrders(.init(pageSize: 5))
            #expect(all.nextPageToken.isEmpty)
            #expect(Set(all.orders.compactMap(\.order?.id)) == Set(ids))
            #expect(all.orders.allSatisfy { $0.order?.state == .accepted && $0.reason.contains("price") && $0.parkTime != nil }, "\(all.orders)")
            var (paged, request) = ([Orders.ParkedOrder](), Orders.ListParkedOrdersRequest(pageSize: 2))
            repeat {
                let page = try await orders.listParkedOrders(request)
                paged += page.orders
                request.pageToken = page.nextPageToken
            } while !request.pageToken.isEmpty && paged.count < 10
            #expect(paged == all.orders)
            try await shop.withClient("bob") { _, bobs in
                let listed = try await bobs.listParkedOrders(.init()).orders
                let requeued = try await bobs.requeueOrders(.init(all: true)).requeuedCount
                #expect(listed.isEmpty && requeued == 0)
            }
            #expect(try await orders.listParkedOrders(.init(pageSize: 5)).orders == all.orders)
            let negative = await failure { () throws(RPCError) in try await orders.listParkedOrders(.init(pageSize: -1)) }
            #expect(negative?.fieldViolations.map(\.field) == ["page_size"])
        }
    }

    @Test("tried again before their reason is mended they are parked again, each try with fresh attempts; afterwards they are decided")
    func requeued() async throws {
        try await withPoison { shop, catalog, orders in
            let ids = try await park(3, orders)
            let before = try await orders.listParkedOrders(.init()).orders
            #expect(try await orders.requeueOrders(.init(ids: [ids[0], ids[0]])).requeuedCount == 1)
            let again = try await eventually {
                let parked = try await orders.listParkedOrders(.init()).orders
                return parked.count == 3 && parked != before ? parked : nil
            }
            #expect(again.filter { !before.contains($0) }.map { $0.order?.id } == [ids[0]], "the same reason, at a later time")
            try await mend(catalog, shop)
            #expect(try await orders.requeueOrders(.init(ids: [ids[0]])).requeuedCount == 1)
            #expect(try await orders.settled(ids[0]).state == .fulfilled)
            #expect(try await orders.requeueOrders(.init(all: true)).requeuedCount == 2)
            for id in ids { #expect(try await orders.settled(id).state == .fulfilled) }
            // Again: nothing is left to do, whatever the orders are by now.
            #expect(try await orders.requeueOrders(.init(ids: ids)).requeuedCount == 0)
            #expect(try await orders.requeueOrders(.init(all: true)).requeuedCount == 0)
            #expect(try await orders.listParkedOrders(.init()).orders.isEmpty)
            #expect(try await orders.listCompletions(.init()).completions.map(\.sequence) == [1, 2, 3])
            #expect(try await catalog.getProduct(.init(id: "broken")).product?.stock == 97)
        }
    }

    @Test("one that was to be cancelled is cancelled once it is tried again, and a document that is no order is listed by its id")
    func strange() async throws {
        try await withPoison { shop, _, orders in
            let ids = try await park(1, orders)
            _ = try shop.inDatabase { client throws(MongoError) in
                let documents = client.collection(CollectionName.orders, in: shop.database)
                try documents.insertOne(Document { document in
                    document.append("_id", "GARBAGE")
                    document.append("identity", "alice")
                    document.append("accepted", BSONDate(millisecondsSince1970: 0))
                    document.append("queued", true)
                })
            }
            let garbage = try await eventually { try await orders.listParkedOrders(.init()).orders.first { $0.order?.id == "GARBAGE" } }
            #expect(garbage.reason == "the document is no order" && garbage.order?.state == .unspecified)
            #expect(try await orders.listOrders(.init()).orders.map(\.id) == [ids[0], "GARBAGE"])
            #expect(try await orders.cancelOrder(.init(id: ids[0]), options: CallOptions(timeout: .seconds(20))).order?.state == .cancelled)
            #expect(try await orders.listParkedOrders(.init()).orders.map { $0.order?.id } == ["GARBAGE"])
        }
    }

    @Test("which orders are to be tried again has to be said in one way")
    func requests() async throws {
        try await withPoison { _, _, orders in
            let id = OrderID.make(identity: "alice", key: "k")
            for request in [.init(), .init(ids: [id], all: true), .init(ids: Array(repeating: id, count: 1001))] as [Orders.RequeueOrdersRequest] {
                let error = await failure { () throws(RPCError) in try await orders.requeueOrders(request) }
                #expect(error?.fieldViolations.map(\.field) == ["ids"], "\(request.ids.count) \(request.all)")
            }
            // One that is missing keeps the others from being touched.
            let parked = try await park(1, orders)
            let missing = await failure { () throws(RPCError) in try await orders.requeueOrders(.init(ids: parked + [id])) }
            #expect(missing == OrderReader.notFound)
            #expect(try await orders.listParkedOrders(.init()).orders.count == 1)
        }
    }

    @Test("2,500 of them are put back by one call")
    func many() async throws {
        let database = TestMongo.freshDatabase().name
        let lease = try HeldLease(database: database)
        let shop = try RunningShop(database: database)
        defer { shop.stop() }
        let records = try (0..<2500).map {
            OrderRecord(try OrderForm(.sample("k\($0)", [("a", 1)])), identity: "alice", traceparent: nil, acceptedAt: .now())
        }
        _ = try shop.inDatabase { client throws(MongoError) in
            let store = OrderStore(database: database)
            try store.insert(records, client, before: .after(.seconds(60))).checked()
            let parked = Update { update in
                update.document("$set") { set in
                    set.append("queued", false)
                    set.document("parked") { $0.append("reason", "a test"); $0.append("time", BSONDate.now()) }
                }
            }
            try client.collection(CollectionName.orders, in: database).updateMany(Document(), parked)
        }
        try await shop.withClient("alice") { _, orders in
            let requeued = try await orders.requeueOrders(.init(all: true), options: CallOptions(timeout: .seconds(60)))
            #expect(requeued.requeuedCount == 2500)
        }
        #expect(try shop.count(CollectionName.orders, Document { $0.append("queued", true) }) == 2500)
        withExtendedLifetime(lease) {}
    }
}
