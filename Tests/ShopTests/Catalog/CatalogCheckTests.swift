import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

/// Damage that somebody could have done to the catalogue, past all services.
struct Damage: Sendable, CustomTestStringConvertible {
    let name: String
    let fault: Catalog.CatalogFault
    let subject: String
    let stored: String
    let expected: String
    var canBeMended = true
    let plant: @Sendable (borrowing Client, String) throws(MongoError) -> Void

    var testDescription: String { name }

    /// Of the catalogue that `CatalogCheckTests` makes: 6 products of Rock, 3 of Pop.
    static let all = [
        Damage(name: "a wrong count", fault: .wrongCount, subject: "rock", stored: "99", expected: "6") { client, database throws(MongoError) in
            try client.set("count", to: 99, in: CollectionName.categories, "rock", database)
        },
        Damage(name: "a count beyond what is looked at together", fault: .wrongCount, subject: "pop", stored: "1000000", expected: "3") { client, database throws(MongoError) in
            try client.set("count", to: 1_000_000, in: CollectionName.categories, "pop", database)
        },
        Damage(name: "a missing category", fault: .missingCategory, subject: "rock", stored: "", expected: "6") { client, database throws(MongoError) in
            try client.collection(CollectionName.categories, in: database).deleteOne(Document { $0.append("_id", "rock") })
        },
        Damage(name: "a category without products", fault: .emptyCategory, subject: "ghost", stored: "2", expected: "") { client, database throws(MongoError) in
            try client.collection(CollectionName.categories, in: database)
                .insertOne(Document { $0.append("_id", "ghost"); $0.append("count", 2) })
        },
        Damage(
            name: "a sort key of another name", fault: .wrongKeys, subject: "p1", stored: "name_key zzz", expected: "name_key product p1\u{1}p1"
        ) { client, database throws(MongoError) in
            try client.set("name_key", to: "zzz", in: CollectionName.products, "p1", database)
        },
        Damage(
            name: "a key of another category, counted there", fault: .wrongKeys, subject: "p1", stored: "category_key pop",
            expected: "category_key rock"
        ) { client, database throws(MongoError) in
            try client.set("category_key", to: "pop", in: CollectionName.products, "p1", database)
            try client.set("count", to: 5, in: CollectionName.categories, "rock", database)
            try client.set("count", to: 4, in: CollectionName.categories, "pop", database)
        },
        Damage(
            name: "a product that is none", fault: .malformedProduct, subject: "p1", stored: "field 'name' is missing or is not a string", expected: "",
            canBeMended: false
        ) { client, database throws(MongoError) in
            try client.set("name", to: 7, in: CollectionName.products, "p1", database)
        },
        Damage(
            name: "a missing index", fault: .missingIndex, subject: "products.by_name", stored: "", expected: "{ \"name_key\" : 1 }"
        ) { client, database throws(MongoError) in
            try client.dropIndex("by_name", of: CollectionName.products, database)
        },
        Damage(
            name: "an index of another form", fault: .differentIndex, subject: "products.by_name", stored: "{ \"name\" : 1 }",
            expected: "{ \"name_key\" : 1 }", canBeMended: false
        ) { client, database throws(MongoError) in
            try client.dropIndex("by_name", of: CollectionName.products, database)
            try client.collection(CollectionName.products, in: database)
                .createIndexes([Index("by_name", keys: Document { $0.append("name", 1) })])
        },
    ]
}

extension Client {
    fileprivate func set(_ field: FieldName, to value: Int, in collection: String, _ id: String, _ database: String) throws(MongoError) {
        try self.collection(collection, in: database).updateOne(
            Document { $0.append("_id", id) }, Update { update in update.document("$set") { $0.append(field, value) } })
    }

    fileprivate func set(_ field: FieldName, to value: String, in collection: String, _ id: String, _ database: String) throws(MongoError) {
        try self.collection(collection, in: database).updateOne(
            Document { $0.append("_id", id) }, Update { update in update.document("$set") { $0.append(field, value) } })
    }

    fileprivate func dropIndex(_ name: String, of collection: String, _ database: String) throws(MongoError) {
        try runCommand(Document { $0.append("dropIndexes", collection); $0.append("index", name) }, in: database)
    }
}

@Suite("Checks of the catalogue", .serialized)
struct CatalogCheckTests {
    private static let products = (0..<6).map { Catalog.Product.sample("p\($0)") } + (6..<9).map { .sample("p\($0)", category: "Pop") }

    private func withCatalogue(
        _ body: (Catalog.CatalogService.Client, RunningShop) async throws -> Void
    ) async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            _ = try await catalog.importProducts(.init(products: Self.products))
            try await body(catalog, shop)
        }
    }

    @Test("an undamaged catalogue has no findings")
    func undamaged() async throws {
        try await withCatalogue { catalog, _ in
            for isRepair in [false, true] {
                let report = try await catalog.checkCatalog(.init(repair: isRepair))
                #expect(report == .init(productCount: 9, categoryCount: 2))
            }
        }
    }

    @Test("each kind of damage is found, told, and mended where that is safe", arguments: Damage.all)
    func damage(_ damage: Damage) async throws {
        try await withCatalogue { catalog, shop in
            try shop.inDatabase { client throws(MongoError) in try damage.plant(client, shop.database) }
            var finding = Catalog.CatalogFinding(
                fault: damage.fault, subject: damage.subject, stored: damage.stored, expected: damage.expected)
            for _ in 0..<2 {
                // Found again, as asking alone changes nothing.
                let found = try await catalog.checkCatalog(.init())
                #expect(found.findings == [finding] && found.findingCount == 1 && found.repairedCount == 0)
            }
            finding.repaired = damage.canBeMended
            let repaired = try await catalog.checkCatalog(.init(repair: true))
            #expect(repaired.findings == [finding] && repaired.repairedCount == (damage.canBeMended ? 1 : 0))
            let after = try await catalog.checkCatalog(.init())
            #expect(after.findingCount == (damage.canBeMended ? 0 : 1), "\(after)")
            guard damage.canBeMended else { return }
            #expect(try await catalog.listProducts(.init(pageSize: 100)).products.count == 9)
            #expect(try await catalog.listProducts(.init(category: "rock")).totalSize == 6)
        }
    }

    @Test("more findings than are listed are counted, and all are mended")
    func manyFindings() async throws {
        try await withCatalogue { catalog, shop in
            let many = Limits.maxFindings + 500
            let documents = (0..<many).map { number in Document { $0.append("_id", "ghost \(number)"); $0.append("count", 1) } }
            try shop.inDatabase { client throws(MongoError) in
                _ = try client.collection(CollectionName.categories, in: shop.database).insertMany(documents)
            }
            let found = try await catalog.checkCatalog(.init())
            #expect(found.findings.count == Limits.maxFindings && found.findingCount == Int64(many))
            let repaired = try await catalog.checkCatalog(.init(repair: true), options: CallOptions(timeout: .seconds(60)))
            #expect(repaired.findingCount == Int64(many) && repaired.repairedCount == Int64(many))
            #expect(try await catalog.checkCatalog(.init()).findingCount == 0)
        }
    }

    @Test("damage is mended under concurrent writes of two servers, and the check sees no writer half-way", arguments: Seeds.fresh(2))
    func repairBesideWriters(seed: UInt64) async throws {
        let first = try RunningShop()
        let second = try RunningShop(database: first.database)
        let shops = [first, second]
        defer { for shop in shops { shop.stop() } }
        try await first.withClient { catalog, _ in _ = try await catalog.importProducts(.init(products: Self.products)) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in 0..<4 {
                group.addTask {
                    var random = SeededGenerator(seed: seed &+ UInt64(lane))
                    try await shops[lane % 2].withClient("writer-\(lane)") { catalog, _ in
                        for _ in 0..<60 { try await CatalogWriter.step(catalog, &random) }
                    }
                }
            }
            for damage in Damage.all where damage.canBeMended && damage.fault != .missingIndex {
                try first.inDatabase { client throws(MongoError) in try damage.plant(client, first.database) }
                let response = try await first.withClient { catalog, _ in
                    try await catalog.checkCatalog(.init(repair: true), options: CallOptions(timeout: .seconds(60)))
                }
                #expect(response.repairedCount == response.findingCount, "seed \(seed), \(damage.name): \(response)")
                // Whatever it may find now, a writer's half would be.
                let after = try await second.withClient { catalog, _ in try await catalog.checkCatalog(.init()) }
                #expect(after.findingCount == 0, "seed \(seed), \(damage.name): \(after)")
            }
            try await group.waitForAll()
        }
        let end = try await first.withClient { catalog, _ in try await catalog.checkCatalog(.init()) }
        #expect(end.findingCount == 0, "seed \(seed): \(end)")
    }

    /// What a change does to a product whose category's key is damaged, before anybody mends that.
    enum EarlyChange: String, CaseIterable {
        case deletion, update, move, replacement
    }

    @Test("a product that is counted in another category is taken out of the count of that one by whatever changes it", arguments: [
        "pop", nil,
    ] as [String?], EarlyChange.allCases)
    func changedBeforeMended(storedKey: String?, change: EarlyChange) async throws {
        try await withCatalogue { catalog, shop in
            let product = try #require(try await catalog.getProduct(.init(id: "p1")).product)
            try shop.inDatabase { client throws(MongoError) in
                let key = Update { update in
                    update.document(storedKey == nil ? "$unset" : "$set") { $0.append("category_key", storedKey ?? "") }
                }
                try client.collection(CollectionName.products, in: shop.database).updateOne(Document { $0.append("_id", "p1") }, key)
                try client.set("count", to: 5, in: CollectionName.categories, "rock", shop.database)
                if storedKey != nil { try client.set("count", to: 4, in: CollectionName.categories, "pop", shop.database) }
            }
            switch change {
            case .deletion: _ = try await catalog.deleteProduct(.init(id: "p1"))
            case .update, .move:
                let wanted = Catalog.Product.sample("p1", name: "Other", category: change == .move ? "Jazz" : product.category)
                _ = try await catalog.updateProduct(
                    .init(product: wanted, updateFields: ["name", "category"], expectedVersion: product.version))
            case .replacement: _ = try await catalog.importProducts(.init(products: [.sample("p1", category: "Jazz")]))
            }
            let report = try await catalog.checkCatalog(.init())
            #expect(report.findingCount == 0, "\(report)")
        }
    }

    @Test("one check at a time; its caller's going away ends it")
    func oneAtATime() async throws {
        try await withCatalogue { catalog, shop in
            // Two at once: each is carried out, or told that another one is.
            let outcomes = await withTaskGroup(of: RPCError?.self) { group in
                for _ in 0..<8 {
                    group.addTask { await failure { () throws(RPCError) in try await catalog.checkCatalog(.init()) } }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(outcomes.contains(nil))
            for error in outcomes.compactMap({ $0 }) {
                #expect(error.reason == "QUEUE_FULL" && error.disposition == .notExecuted && error.retryDelay != nil)
            }
        }
    }
}

/// One random change of the catalogue, as any client may make it. Which changes are possible depends on what others do.
enum CatalogWriter {
    static func step(_ catalog: Catalog.CatalogService.Client, _ random: inout SeededGenerator) async throws {
        let options = CallOptions(timeout: .seconds(30))
        let id = "p\(Int.random(in: 0..<12, using: &random))"
        let category = ["Rock", "ROCK", "Pop", "Jazz", "Blues"].randomElement(using: &random) ?? ""
        let (choice, number) = (Int.random(in: 0..<5, using: &random), Int64.random(in: 1...1000, using: &random))
        do throws(RPCError) {
            switch choice {
            case 0:
                _ = try await catalog.importProducts(
                    .init(products: [.sample(id, category: category, cents: number), .sample("p\(number % 12)", category: "Jazz")]), options: options)
            case 1:
                _ = try await catalog.deleteProduct(.init(id: id), options: options)
            case 2:
                _ = try await catalog.adjustStock(.init(id: id, delta: number, requestId: OpaqueID.make()), options: options)
            default:
                guard let product = try await catalog.getProduct(.init(id: id), options: options).product else { return }
                _ = try await catalog.updateProduct(
                    .init(
                        product: .sample(id, name: "Name \(number)", category: category, cents: number), updateFields: ["name", "category", "price"],
                        expectedVersion: product.version), options: options)
            }
        } catch {
            guard ["PRODUCT_NOT_FOUND", "VERSION_MISMATCH"].contains(error.reason) else { throw error }
        }
    }
}
