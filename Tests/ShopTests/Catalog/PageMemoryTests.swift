import MongoDB
import ProtoShop
import Protobuf
import RPC
import Synchronization
import TestSupport
import Testing

@testable import Shop

@Suite("Remembered pages")
struct PageMemoryTests {
    private let tokens = TokenSeal(key: Array(repeating: 7, count: 32))

    private func request(_ request: Catalog.ListProductsRequest) throws -> PageRequest { try PageRequest(request, tokens: tokens) }

    /// An answer of about so many bytes, told from others by its number.
    private func answer(_ number: Int64, bytes: Int = 0) -> PageMemory.Answer {
        PageMemory.Answer { response in
            response.append(.totalSize, number)
            response.append(.nextPageToken, String(repeating: "x", count: bytes))
        }
    }

    private func number(_ answer: PageMemory.Answer?) throws -> Int64? {
        guard let answer else { return nil }
        var bytes: [UInt8] = []
        try withUnsafeTemporaryAllocation(byteCount: answer.byteCount, alignment: 1) { memory in
            try answer.serialize { _ in memory }
            bytes = Array(memory)
        }
        return try Catalog.ListProductsResponse(serializedBytes: bytes).totalSize
    }

    /// Remembered is what is answered a second time.
    private func remember(_ answer: PageMemory.Answer, to request: PageRequest, at time: ClusterTime?, in memory: PageMemory) {
        memory.remember(answer, to: request, at: time)
        memory.remember(answer, to: request, at: time)
    }

    @Test("are those that are asked for again")
    func onlyPopular() throws {
        let memory = PageMemory()
        let (first, second) = (try request(.init(page: 1)), try request(.init(page: 2)))
        // Not worth a trace: there was no quiet time.
        memory.remember(answer(1), to: first, at: nil)
        memory.remember(answer(1), to: first, at: ClusterTime(1))
        #expect(memory.byteCount == 0 && memory.answer(to: first, at: ClusterTime(1)) == nil)
        // Whatever was written between.
        memory.remember(answer(2), to: first, at: ClusterTime(2))
        #expect(try number(memory.answer(to: first, at: ClusterTime(2))) == 2)
        memory.remember(answer(3), to: second, at: ClusterTime(2))
        #expect(memory.answer(to: second, at: ClusterTime(2)) == nil)
    }

    @Test("are good for their request and their quiet time only")
    func exact() throws {
        let memory = PageMemory()
        let (one, two) = (ClusterTime(1), ClusterTime(2))
        let first = try request(.init())
        remember(answer(1), to: first, at: nil, in: memory)
        #expect(memory.answer(to: first, at: nil) == nil && memory.answer(to: first, at: one) == nil)
        remember(answer(1), to: first, at: one, in: memory)
        #expect(try number(memory.answer(to: first, at: one)) == 1)
        #expect(memory.answer(to: first, at: two) == nil && memory.answer(to: first, at: nil) == nil)
        // What was read under another time replaces all.
        remember(answer(2), to: try request(.init(page: 2)), at: two, in: memory)
        #expect(memory.answer(to: first, at: one) == nil && memory.answer(to: first, at: two) == nil)
        #expect(try number(memory.answer(to: try request(.init(page: 2)), at: two)) == 2)
    }

    @Test("tell all requests apart that have other pages")
    func identity() throws {
        let list = ProductList()
        let after = { (key: String, rank: Int64?) in
            tokens.seal(PagePosition(key: key, rank: rank.map { .init(count: $0, stamp: CatalogStamp(value: 5)) }), in: list)
        }
        let requests: [Catalog.ListProductsRequest] = [
            .init(), .init(page: 2), .init(pageSize: 11), .init(category: "rock"), .init(inStockOnly: true), .init(orderBy: "price"),
            .init(orderBy: "name desc"), .init(namePrefix: "rock"), .init(totalMode: .exact), .init(totalMode: .none), .init(pageToken: after("a", nil)),
            .init(pageToken: after("a", 1)), .init(pageToken: after("a", 2)), .init(pageToken: after("b", 1)),
            // One text for Unicode, and two keys for the database.
            .init(pageToken: after("\u{E9}", nil)), .init(pageToken: after("e\u{301}", nil)),
        ]
        let memory = PageMemory()
        for (index, asked) in requests.enumerated() {
            remember(answer(Int64(index)), to: try request(asked), at: ClusterTime(1), in: memory)
        }
        for (index, asked) in requests.enumerated() {
            #expect(try number(memory.answer(to: try request(asked), at: ClusterTime(1))) == Int64(index), "\(asked)")
        }
    }

    @Test("have a bound together, and one each")
    func bounds() throws {
        let memory = PageMemory()
        let each = Limits.maxRememberedPageBytes / 16
        for page in 1...100 {
            remember(answer(Int64(page), bytes: each), to: try request(.init(page: Int32(page))), at: ClusterTime(1), in: memory)
            #expect(memory.byteCount <= Limits.maxRememberedPageBytes)
            #expect(try number(memory.answer(to: try request(.init(page: Int32(page))), at: ClusterTime(1))) == Int64(page))
        }
        remember(answer(0, bytes: Limits.maxRememberedPageBytes / 8), to: try request(.init()), at: ClusterTime(2), in: memory)
        #expect(memory.answer(to: try request(.init()), at: ClusterTime(2)) == nil)
    }

    /// Readers ask for a few pages all the time; every now and then a stock changes, which replaces no stamp.
    @Test("under load nobody is shown a stock older than one that was confirmed before the call, and pages are remembered")
    func neverStale() async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        let service = try #require(shop.shop.services.lazy.compactMap { $0 as? CatalogService }.first)
        try await shop.withClient { catalog, _ in
            let categories = (0..<8).map { "Category \($0)" }
            try await catalog.importAll(categories.enumerated().map { .sample("p\($0)", category: $1, stock: 0) })
            let confirmed = categories.map { _ in Atomic64() }
            let (calls, mostRemembered, isOver) = (Atomic64(), Atomic64(), Atomic64())
            let writes = 40
            try await withThrowingTaskGroup(of: Void.self) { group in
                for reader in 0..<48 {
                    group.addTask {
                        while isOver.value == 0 {
                            let index = (reader + Int(calls.add(1))) % categories.count
                            let known = confirmed[index].value
                            let page = try await catalog.listProducts(.init(category: categories[index]))
                            let stock = page.products.first?.stock ?? -1
                            if stock < known {
                                isOver.add(1)
                                Issue.record("a stock of \(stock) was shown after \(known) had been confirmed")
                            }
                            mostRemembered.raise(to: Int64(service.answers.byteCount))
                        }
                    }
                }
                group.addTask {
                    defer { isOver.add(1) }
                    for write in 0..<writes {
                        // Quiet for a while, so that something can be remembered.
                        let until = calls.value + 400
                        while calls.value < until, isOver.value == 0 { await Task.yield() }
                        let index = write % categories.count
                        let request = Catalog.AdjustStockRequest(id: "p\(index)", delta: 1, requestId: "r\(write)")
                        confirmed[index].raise(to: try await catalog.adjustStock(request).stock)
                    }
                }
                try await group.waitForAll()
            }
            #expect(mostRemembered.value > 0)
        }
    }
}

/// A number that tasks share.
private final class Atomic64: Sendable {
    private let number = Atomic<Int64>(0)

    var value: Int64 { number.load(ordering: .sequentiallyConsistent) }

    @discardableResult func add(_ more: Int64) -> Int64 { number.add(more, ordering: .sequentiallyConsistent).newValue }

    func raise(to least: Int64) { number.max(least, ordering: .sequentiallyConsistent) }
}
