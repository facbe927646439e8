import MongoDB
import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("A large import into an empty catalogue")
struct BulkLoadTests {
    @Test("is over once no call has come for a while, and not while one is being carried out")
    func whenItIsOver() {
        let start = MonotonicTime.now
        func after(_ time: Duration) -> MonotonicTime { start.advanced(by: time) }
        let silence = Limits.bulkLoadSilence
        var state = BulkLoadState()
        state.callsBegin()
        #expect(state.next(at: after(silence * 9)) == .rest, "a usual import")
        state.begin()
        state.callsBegin()
        state.callsEnd(at: start)
        #expect(state.isUnderWay && state.next(at: after(silence * 9)) == .look(silence), "the other call is still under way")
        state.callsEnd(at: after(silence * 9))
        #expect(state.next(at: after(silence * 9 + .milliseconds(500))) == .look(silence - .milliseconds(500)))
        #expect(state.next(at: after(silence * 10)) == .build)
        // Somebody goes on in the last moment.
        state.callsBegin()
        #expect(state.next(at: after(silence * 10)) == .look(silence))
        state.callsEnd(at: after(silence * 10))
        #expect(state.next(at: after(silence * 11)) == .build)
        state.end()
        #expect(!state.isUnderWay && state.next(at: after(silence * 20)) == .rest)
    }

    @Test("is stored without indexes, which are built when it is over; a later one finds products, and leaves them")
    func withoutIndexes() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        func indexes() throws -> [Index] {
            var found: [Index] = []
            try shop.inDatabase { client throws(MongoError) in
                found = try client.collection(CollectionName.products, in: shop.database).indexes().filter { $0.name != "_id_" }
            }
            return found.sorted { $0.name < $1.name }
        }
        let all = ProductStore.indexes.sorted { $0.name < $1.name }
        let list = Catalog.ListProductsRequest(orderBy: "price")
        try await shop.withClient { catalog, _ in
            _ = try await catalog.importProducts(.init(products: [.sample("bad id")], expectedProducts: Limits.minBulkLoad))
            #expect(try indexes() == all, "nothing was stored")
            let first = try await catalog.importProducts(.init(products: [.sample("a"), .sample("b")], expectedProducts: Limits.minBulkLoad))
            #expect(first.insertedCount == 2)
            #expect(try indexes() == [])
            let error = await failure { () throws(RPCError) in try await catalog.listProducts(list) }
            #expect(error?.reason == "INDEX_MISSING" && error?.disposition == .notExecuted)
            #expect(try await catalog.getProduct(.init(id: "a")).product != nil, "all but lists works")
            // Of this import or another one: no call needs to say more.
            _ = try await catalog.importProducts(.init(products: [.sample("b"), .sample("c")]))
            try await eventually {
                do throws(RPCError) {
                    return try await catalog.listProducts(list).products.map(\.id) == ["a", "b", "c"]
                } catch {
                    guard error.reason == "INDEX_MISSING" else { throw error }
                    return false
                }
            }
            #expect(try indexes() == all)
            _ = try await catalog.importProducts(.init(products: [.sample("d")], expectedProducts: .max))
            #expect(try indexes() == all)
            #expect(try await catalog.listProducts(list).totalSize == 4)
        }
    }
}
