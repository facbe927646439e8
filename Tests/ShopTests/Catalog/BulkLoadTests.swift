import MongoDB
import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("A large import into an empty catalogue")
struct BulkLoadTests {
    @Test("is over once no server has had a call for a while; those that had some end it before the others")
    func whenItIsOver() {
        func mark(overdue: Duration) -> BulkLoadStore.Mark { .init(overdue: overdue) }
        let (running, over, longOver) = (mark(overdue: .seconds(-1)), mark(overdue: .milliseconds(1)), mark(overdue: Limits.bulkLoadSilence * 1.01))
        var state = BulkLoadState()
        func next(_ mark: BulkLoadStore.Mark?) -> BulkLoadState.Step { state.next(mark) }
        func callsBegin() -> Bool { state.callsBegin() }
        #expect(callsBegin(), "somebody else's load might end just now")
        #expect(next(nil) == .rest, "products were there")
        state.indexesAreDropped()
        #expect(next(nil) == .mark, "another server ended the load before the last index was dropped")
        state.hasFailed(.mark)
        #expect(next(running) == .mark)
        #expect(next(longOver) == .extend, "the call is still being carried out")
        #expect(!callsBegin(), "it is known")
        state.callsEnd()
        state.callsEnd()
        #expect(next(running) == .extend, "calls ended since the last look")
        state.hasFailed(.extend)
        #expect(next(running) == .extend)
        #expect(next(running) == .wait)
        #expect(next(over) == .build)
        #expect(next(over) == .build, "it failed")
        #expect(next(nil) == .rest)
        #expect(!state.isUnderWay)
        // A load of others.
        #expect(next(running) == .wait)
        #expect(state.isUnderWay)
        #expect(next(over) == .wait)
        #expect(next(longOver) == .build)
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
    @Test("that nobody goes on with is ended by any server")
    func leftBehind() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        let store = BulkLoadStore(database: shop.database)
        try shop.inDatabase { client throws(MongoError) in
            try store.extend(orMake: true, client, before: .after(.seconds(5)))
            for index in ProductStore.indexes {
                try client.collection(CollectionName.products, in: shop.database).dropIndex(index.name)
            }
        }
        try await eventually {
            try shop.inDatabase { client throws(MongoError) in
                let count = try client.collection(CollectionName.products, in: shop.database).indexes().count
                let mark = try store.mark(client, before: .after(.seconds(5)))
                return count == ProductStore.indexes.count + 1 && mark == nil
            }
        }
    }

    @Test("stays marked where the mark was extended since it was seen, and an unmarked one is not marked by extending")
    func marks() throws {
        let pool = try ClientPool.passing(uri: TestMongo.shared.uri, appName: "marks", size: 1, timeouts: .background)
        let store = BulkLoadStore(database: TestMongo.freshDatabase().name)
        let deadline = Deadline.after(.seconds(5))
        try pool.withClient { client throws(MongoError) in
            try store.extend(orMake: false, client, before: deadline)
            var mark = try store.mark(client, before: deadline)
            #expect(mark == nil)
            try store.extend(orMake: true, client, before: deadline)
            guard let seen = try store.mark(client, before: deadline) else { throw MongoError(.invalidState, "there is no mark") }
            #expect(seen.overdue < .zero && seen.overdue >= .zero - Limits.bulkLoadSilence)
            var now = seen
            while now.expires == seen.expires {
                try store.extend(orMake: false, client, before: deadline)
                if let mark = try store.mark(client, before: deadline) { now = mark }
            }
            try store.remove(seen, client, before: deadline)
            mark = try store.mark(client, before: deadline)
            #expect(mark != nil)
            try store.remove(now, client, before: deadline)
            mark = try store.mark(client, before: deadline)
            #expect(mark == nil)
        }
    }
}
