import MongoDB
import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

/// A catalogue as the database has it: per order, places sorted by the bytes of their keys.
private struct ModelCatalogue {
    private var sorted: [ProductOrder.Key: [ProductPlace]] = [.name: [], .price: []]
    private var stamps: [String: CatalogStamp] = [:]
    private(set) var stamp = CatalogStamp.none
    private(set) var told: [CatalogChange] = []
    private var count = 0

    var places: [ProductPlace] { sorted[.name] ?? [] }

    static func bytes(_ place: ProductPlace, _ key: ProductOrder.Key) -> [UInt8] { Array(place.key(key).utf8) }

    private func index(of place: ProductPlace, _ key: ProductOrder.Key) -> Int {
        var (low, high) = (0, sorted[key]?.count ?? 0)
        while low < high {
            let middle = (low + high) / 2
            let isBefore = sorted[key].map { Self.bytes($0[middle], key).lexicographicallyPrecedes(Self.bytes(place, key)) } ?? false
            if isBefore { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Names that Unicode holds equal, and such that bytes sort otherwise than code units of UTF-16 do.
    mutating func newPlace(_ random: inout SeededGenerator) -> ProductPlace {
        count += 1
        let name = ["a", "\u{E9}", "e\u{301}", "\u{1F3B8}", "\u{FFFD}", "z"].randomElement(using: &random) ?? ""
        return ProductPlace(
            category: ["rock", "hard rock", "jazz"].randomElement(using: &random) ?? "", name: "\(name)\u{1}p\(count)",
            price: "USD\(Int.random(in: 10...30, using: &random))\u{1}p\(count)")
    }

    mutating func apply(_ moves: [ProductMove], isTold: Bool) {
        let change = CatalogChange(after: stamp, stamp: .random(), moves: moves)
        for move in moves {
            for key in ProductOrder.Key.allCases {
                if let from = move.from {
                    let place = index(of: from, key)
                    sorted[key]?.remove(at: place)
                }
                if let to = move.to {
                    let place = index(of: to, key)
                    sorted[key]?.insert(to, at: place)
                }
            }
            for place in [move.from, move.to].compactMap(\.self) { stamps[place.category] = .random() }
        }
        stamp = change.stamp
        if isTold { told = (told + [change]).suffix(4) }
    }

    var snapshot: CatalogSnapshot {
        CatalogSnapshot(stamp: stamp, categories: stamps.sorted { $0.key < $1.key }.map { ($0.key, 1, $0.value) }, told: told)
    }

    func keys(of list: ProductList) -> [String] {
        let keys = (sorted[list.order.key] ?? []).filter { place in
            let key = Self.bytes(place, list.order.key)
            let isInRange = !(list.range.lower.map { key.lexicographicallyPrecedes(Array($0.utf8)) } ?? false)
                && (list.range.upper.map { key.lexicographicallyPrecedes(Array($0.utf8)) } ?? true)
            return isInRange && (list.category.isEmpty || list.category == place.category || list.category == "rock" && place.category == "hard rock")
        }.map { $0.key(list.order.key) }
        return list.order.isDescending ? keys.reversed() : keys
    }
}

@Suite("Ranks across changes", .serialized)
struct RanksAcrossChangesTests {
    private static let lists: [ProductList] = ProductOrder.allCases.flatMap { order in
        let range = order.key == .name ? KeyRange(lower: "a", upper: "\u{FFFD}") : KeyRange(lower: "USD12", upper: "USD28")
        return ["", "rock", "jazz"].flatMap { [ProductList(category: $0, order: order), ProductList(category: $0, range: range, order: order)] }
    }

    @Test("ranks are those of the list as it is, over any history of changes that are told or are not", arguments: Seeds.fresh(4, long: 100))
    func histories(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var now = ModelCatalogue()
        let all = (0..<700).map { _ in ProductMove(to: now.newPlace(&random)) }
        now.apply(all, isTold: false)
        var before = now
        var memory = ListMemory()
        var carried = 0
        for _ in 0..<300 {
            for _ in 0..<Int.random(in: 0...2, using: &random) {
                before = now
                let places = Array(now.places.shuffled(using: &random).prefix(Int.random(in: 1...3, using: &random)))
                let moves = places.map { place in
                    var changed = now.newPlace(&random)
                    // An update keeps some of it.
                    if Bool.random(using: &random) { changed.name = place.name }
                    if Bool.random(using: &random) { changed.category = place.category }
                    return [ProductMove(from: place), .init(to: changed), .init(from: place, to: changed)].randomElement(using: &random) ?? .init()
                }
                // A name comes twice only where its product keeps it.
                let isClean = moves.allSatisfy { move in move.from != nil || !now.places.contains { $0.name.utf8.elementsEqual(move.to?.name.utf8 ?? "".utf8) } }
                if isClean { now.apply(moves, isTold: Int.random(in: 0..<40, using: &random) > 0) }
            }
            let list = Self.lists.randomElement(using: &random) ?? .init()
            // Now and then a call is late.
            let seen = Int.random(in: 0..<10, using: &random) == 0 ? before : now
            let stamp = list.category.isEmpty ? seen.stamp : seen.snapshot.matching(list.category).stamp
            let known = memory.knowledge(of: list, at: stamp, in: seen.snapshot)
            let keys = seen.keys(of: list)
            for entry in known.ranks.entries {
                #expect((1...keys.count).contains(Int(entry.rank)) && keys[Int(entry.rank) - 1].utf8.elementsEqual(entry.key.utf8), "\(list)")
            }
            carried += known.ranks.entries.count
            for _ in 0..<4 {
                let rank = Int.random(in: 1...keys.count, using: &random)
                memory.learn(of: list, at: stamp, rank: .init(rank: Int64(rank), key: keys[rank - 1]))
            }
        }
        #expect(carried > 300)
        #expect(memory.rankCount <= Limits.maxRememberedRanks)
    }

    @Test("the log has no gaps and an end, and leads from earlier to later only")
    func log() {
        var log = CatalogLog()
        let stamps = (0...(Limits.maxRememberedChanges + 50)).map { _ in CatalogStamp.random() }
        let changes = zip(stamps, stamps.dropFirst()).map { CatalogChange(after: $0, stamp: $1, moves: []) }
        for end in stride(from: 10, through: changes.count, by: 10) {
            log.add(Array(changes[max(0, end - 20)..<end]), upTo: stamps[end])
            #expect(log.changes.count <= Limits.maxRememberedChanges)
        }
        let last = log.changes.last?.stamp ?? .none
        #expect(log.changes(from: stamps[100], to: last)?.first == changes[100])
        #expect(log.changes(from: last, to: stamps[100]) == nil && log.changes(from: stamps[0], to: last) == nil)
        // Somebody did not tell, and somebody after that did.
        log.add([changes[0], .init(after: .random(), stamp: stamps[2], moves: [])], upTo: stamps[2])
        #expect(log.changes.count == 1 && log.changes(from: stamps[0], to: stamps[2]) == nil)
        let unknown = CatalogStamp.random()
        log.add([changes[0]], upTo: unknown)
        #expect(log.changes.isEmpty)
    }

    /// What a server that remembers nothing reads.
    private func plainPage(_ request: Catalog.ListProductsRequest, _ shop: RunningShop) throws -> [String] {
        let categories = CategoryStore(database: shop.database)
        let listing = ProductListing(products: ProductStore(database: shop.database), categories: categories)
        let request = try PageRequest(request, tokens: TokenSeal(key: Array(repeating: 1, count: TokenSeal.keyLength)))
        return try shop.inDatabase { client throws(MongoError) in
            let deadline = Deadline.after(.seconds(10))
            let page = try listing.pages([request], try categories.snapshot(client, before: deadline), client, before: deadline)[0]
            var ids: [String] = []
            for index in 0..<(page?.products?.count ?? 0) { ids.append(try page?.products?[index].string("_id") ?? "") }
            return ids
        }
    }

    private func changeSomething(_ index: Int, _ products: [Catalog.Product], _ random: inout SeededGenerator, _ catalog: Catalog.CatalogService.Client) async {
        guard var product = products.randomElement(using: &random) else { return }
        let name = ["Tea", "A", "\u{1F3B8}"].randomElement(using: &random) ?? ""
        do throws(RPCError) {
            switch Int.random(in: 0..<12, using: &random) {
            case 0: _ = try await catalog.importProducts(.init(products: (0..<12).map { .sample("many-\(index)-\($0)", name: name, category: "Métal 1") }))
            case 1...3: _ = try await catalog.importProducts(.init(products: [.sample("new-\(index)", name: name), .sample(product.id, name: name)]))
            case 4...5: _ = try await catalog.deleteProduct(.init(id: product.id))
            default:
                product = try await catalog.getProduct(.init(id: product.id)).product ?? product
                product.price = MinorAmount(currency: "USD", minor: Int64.random(in: 0...50, using: &random)).money
                product.category = ["Métal 1", "Group 0", product.category].randomElement(using: &random) ?? ""
                _ = try await catalog.updateProduct(.init(product: product, updateFields: ["price", "category"], expectedVersion: product.version))
            }
        } catch {
            #expect(error.code == .notFound || error.code == .aborted, "\(error)")
        }
    }

    @Test("pages by number are right after any changes by two servers, made while pages were read", arguments: Seeds.fresh(1, long: 20))
    func twoServers(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let model = ListModel.random(3000, categories: 7, using: &random)
        let shop = try RunningShop()
        let second = try RunningShop(database: shop.database)
        defer { for shop in [shop, second] { shop.stop() } }
        try await shop.withClient { catalog, _ in
            try await catalog.importAll(model.products)
            let requests = ["name", "name desc", "price", "price desc"].flatMap { order in
                ["", "metal"].map { Catalog.ListProductsRequest(category: $0, orderBy: order, pageSize: 20) }
            }
            for round in 0..<4 {
                let (writes, reads) = (random.next(), random.next())
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (name, server) in [("first", shop), ("second", second)] {
                        group.addTask {
                            var random = SeededGenerator(seed: writes ^ UInt64(name.count))
                            try await server.withClient(name) { catalog, _ in
                                for index in 0..<8 { await changeSomething(round * 100 + index * 10 + name.count, model.products, &random, catalog) }
                            }
                        }
                    }
                    group.addTask {
                        var random = SeededGenerator(seed: reads)
                        for _ in 0..<40 {
                            guard var request = requests.randomElement(using: &random) else { return }
                            request.page = Int32.random(in: 1...120, using: &random)
                            _ = try await catalog.listProducts(request)
                        }
                    }
                    try await group.waitForAll()
                }
                for var request in requests {
                    for page in [Int32](1...60).shuffled(using: &random).prefix(6) {
                        request.page = page * 2
                        let found = try await catalog.listProducts(request).products.map(\.id)
                        #expect(try found == plainPage(request, shop), "\(request)")
                    }
                }
            }
        }
    }
}
