import TestSupport
import Testing

@testable import Shop

/// A list as the database would read it: keys in the list's order.
private struct ModelList {
    var keys: [String]

    func read(_ stretch: PageStretch) -> [String] {
        let anchor = stretch.anchor.flatMap { Int($0.dropFirst()) }
        let from = stretch.isBackwards ? Array(keys[..<(anchor.map { $0 + 1 } ?? keys.count)].reversed()) : Array(keys[(anchor.map { $0 + 1 } ?? 0)...])
        let rows = Array(from.dropFirst(Int(stretch.skip)).prefix(Int(stretch.count)))
        return stretch.isBackwards ? rows.reversed() : rows
    }
}

@Suite("Page stretches")
struct PageStretchTests {
    @Test(
        "page counts",
        arguments: [(0, 10, 0), (1, 10, 1), (10, 10, 1), (11, 10, 2), (1309, 10, 131), (1309, 50, 27), (1309, 1000, 2)] as [(Int64, Int64, Int64)])
    func counts(total: Int64, size: Int64, pages: Int64) {
        #expect(PageCount.of(total, size: size) == pages)
    }

    @Test("every product is on exactly one page, read from wherever it costs least", arguments: Seeds.fresh(200))
    func partition(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let list = ModelList(keys: (0..<Int.random(in: 0...400, using: &random)).map { "k\($0)" })
        let total = Int64(list.keys.count)
        let size = Int64.random(in: 1...60, using: &random)
        let (isCounted, isDescending) = (Bool.random(using: &random), Bool.random(using: &random))
        var known = RankedKeys()
        for _ in 0..<Int.random(in: 0...5, using: &random) where total > 0 {
            let rank = Int64.random(in: 1...total, using: &random)
            known.insert(.init(rank: rank, key: "k\(rank - 1)"))
        }
        var seen: [String] = []
        for number in 0..<(PageCount.of(total, size: size) + 1) {
            let first = number * size
            let stretch = PageStretch(first: first, size: size, total: isCounted ? total : nil, isDescending: isDescending, known: known)
            let page = list.read(stretch)
            seen += page
            let end = min(first + size, total)
            if page.isEmpty { continue }
            // From nowhere else that is known it costs less.
            func price(_ skip: Int64, isBackwards: Bool) -> Int64 { skip * (isBackwards == isDescending ? 1 : PageStretch.reverseCost) }
            let cost = price(stretch.skip, isBackwards: stretch.isBackwards)
            for rank in [0] + known.entries.map(\.rank) where rank <= first { #expect(cost <= price(first - rank, isBackwards: false)) }
            for rank in [total] + known.entries.map(\.rank) where isCounted && rank >= end { #expect(cost <= price(rank - end, isBackwards: true)) }
            if stretch.isAtEnd { #expect(end == total) }
        }
        #expect(seen == list.keys)
    }

    @Test("a page that is far from everything is approached in steps whose ranks are right", arguments: Seeds.fresh(20))
    func steps(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let list = ModelList(keys: (0..<Int.random(in: 1...200_000, using: &random)).map { "k\($0)" })
        let total = Int64(list.keys.count)
        for _ in 0..<20 {
            let first = Int64.random(in: 0..<total, using: &random)
            let size = Int64.random(in: 1...1000, using: &random)
            let whole = PageStretch(first: first, size: size, total: Bool.random(using: &random) ? total : nil)
            var stretch = whole
            let limit = Bool.random(using: &random) ? Limits.maxUnlearnedSkip : Limits.maxSkip
            while let step = stretch.firstStep(over: limit) {
                let key = try #require(list.read(step).first)
                stretch = stretch.afterStep(to: key)
                #expect(key == "k\(stretch.rankOfAnchor(after: first) - 1)")
            }
            #expect(stretch.skip <= limit)
            #expect(list.read(stretch) == list.read(whole))
        }
    }

    @Test("a page beyond the last is empty, and skips nothing where the total is known")
    func beyond() {
        #expect(PageStretch(first: Int64(Int32.max) * 1000, size: 1000, total: 25).count == 0)
        #expect(PageStretch(first: 0, size: 10, total: 0).count == 0)
        #expect(PageStretch(first: 100_000, size: 10, total: 25).firstStep(over: 0) == nil)
    }
}

@Suite("List memory")
struct ListMemoryTests {
    @Test("ranks are bounded in number and spread over the whole list, whatever is learned in which order", arguments: Seeds.fresh(20))
    func ranks(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let total: Int64 = 1_000_000
        var known = RankedKeys()
        for step in 0..<20_000 {
            let rank = step % 2 == 0 ? Int64.random(in: 1...total, using: &random) : min(total, Int64(step) * 10)
            known.insert(.init(rank: rank, key: "k\(rank)"))
        }
        #expect(known.entries.count <= Limits.maxRanksOfList)
        #expect(known.entries.map(\.rank) == known.entries.map(\.rank).sorted())
        #expect(known.entries.allSatisfy { $0.key == "k\($0.rank)" })
        #expect(zip(known.entries, known.entries.dropFirst()).allSatisfy { $1.rank - $0.rank >= known.spacing })
        // Somewhere in the list a page has a known product in its neighbourhood.
        for _ in 0..<1000 {
            let rank = Int64.random(in: 0...total, using: &random)
            let before = known.last(upTo: rank)?.rank ?? 0
            let after = known.first(from: rank)?.rank ?? total
            #expect(before <= rank && rank <= after)
            #expect(after - before <= 6 * total / Int64(Limits.maxRanksOfList))
        }
    }

    private static func list(_ index: Int) -> ProductList { ProductList(category: "c\(index)") }

    /// What a catalogue is like: for each stamp, what a rank's key is.
    @Test("nothing is known that is not so, over any history of changes, also where what was learned comes late", arguments: Seeds.fresh(100))
    func histories(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var memory = ListMemory()
        var stamps: [CatalogStamp] = [.random()]
        func key(_ list: Int, _ rank: Int64, _ stamp: CatalogStamp) -> String { "\(list)/\(rank)/\(stamp.value)" }
        func total(_ list: Int, _ stamp: CatalogStamp) -> Int64 { Int64(list) &+ stamp.value }
        for _ in 0..<500 {
            if Int.random(in: 0..<20, using: &random) == 0 { stamps.append(.random()) }
            let list = Int.random(in: 0..<100, using: &random)
            // Now and then a call still has the snapshot before.
            let stamp = stamps[max(0, stamps.count - (Int.random(in: 0..<10, using: &random) == 0 ? 2 : 1))]
            let known = memory.knowledge(of: Self.list(list), at: stamp)
            for entry in known.ranks.entries { #expect(entry.key == key(list, entry.rank, stamp)) }
            if let known = known.total { #expect(known == total(list, stamp)) }
            let learnedAt = stamps[max(0, stamps.count - Int.random(in: 1...2, using: &random))]
            let rank = Int64.random(in: 1...100_000, using: &random)
            memory.learn(of: Self.list(list), at: learnedAt, rank: .init(rank: rank, key: key(list, rank, learnedAt)), total: total(list, learnedAt))
            #expect(memory.count <= Limits.maxRememberedLists)
        }
    }

    @Test("the lists that are asked for most lately are remembered")
    func eviction() {
        var memory = ListMemory()
        let stamp = CatalogStamp.random()
        for index in 0..<Limits.maxRememberedLists + 10 {
            _ = memory.knowledge(of: Self.list(index), at: stamp)
            memory.learn(of: Self.list(index), at: stamp, total: Int64(index))
            #expect(memory.knowledge(of: Self.list(0), at: stamp).total == 0)
        }
        #expect(memory.knowledge(of: Self.list(1), at: stamp).total == nil)
        #expect(memory.count > Limits.maxRememberedLists / 2)
        #expect(memory.knowledge(of: Self.list(Limits.maxRememberedLists + 9), at: stamp).total != nil)
    }

    @Test("the ranks of all lists together are bounded")
    func manyRanks() {
        var memory = ListMemory()
        let stamp = CatalogStamp.random()
        let lists = Limits.maxRememberedRanks / Limits.maxRanksOfList * 2
        for index in 0..<lists {
            _ = memory.knowledge(of: Self.list(index), at: stamp)
            for rank in 1...Int64(Limits.maxRanksOfList) {
                memory.learn(of: Self.list(index), at: stamp, rank: .init(rank: rank * RankedKeys.closest, key: "k\(rank)"))
            }
            #expect(memory.rankCount <= Limits.maxRememberedRanks)
        }
        let counts = (0..<lists).map { memory.knowledge(of: Self.list($0), at: stamp).ranks.entries.count }
        #expect(counts.reduce(0, +) == memory.rankCount)
        #expect(counts.last == Limits.maxRanksOfList)
    }

    @Test("stock changes without a new stamp, so nothing is remembered of what is in stock")
    func stock() {
        var memory = ListMemory()
        let stamp = CatalogStamp.random()
        let list = ProductList(inStockOnly: true)
        _ = memory.knowledge(of: list, at: stamp)
        memory.learn(of: list, at: stamp, rank: .init(rank: 100, key: "k"), total: 200)
        #expect(memory.knowledge(of: list, at: stamp).total == nil)
        #expect(memory.count == 0)
    }
}

extension ListMemory {
    /// Of a catalogue of which nothing is told.
    fileprivate mutating func knowledge(of list: ProductList, at stamp: CatalogStamp) -> Knowledge {
        knowledge(of: list, at: stamp, in: CatalogSnapshot(stamp: stamp, categories: []))
    }
}
