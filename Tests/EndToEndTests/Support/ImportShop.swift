import CatalogGenerator
import FoundationEssentials
import MongoDB
import ProtoShop
import RPC
import RPCClient
import Testing

/// Generated products as files, and as what a server has to hold afterwards.
enum ImportShop {
    /// Writes the products of a seed as JSON lines.
    static func write(_ numbers: ClosedRange<Int>, seed: UInt64, to path: String) throws {
        let generator = ProductGenerator(seed: seed)
        let lines = try numbers.map { try generator.product($0).jsonString() + "\n" }
        try Data(lines.joined().utf8).write(to: URL(filePath: path))
    }

    /// All products of a server, by id.
    static func products(of server: ServerProcess) async throws -> [String: Catalog.Product] {
        try await server.withChannel { channel in
            var products: [String: Catalog.Product] = [:]
            var request = Catalog.ListProductsRequest(pageSize: 1000)
            repeat {
                let page = try await channel.catalog.listProducts(request, options: patient)
                for product in page.products { products[product.id] = product }
                request.pageToken = page.nextPageToken
            } while !request.pageToken.isEmpty
            return products
        }
    }

    /// Checks that a server holds the products of a seed, and no others.
    static func expect(_ numbers: ClosedRange<Int>, seed: UInt64, in server: ServerProcess) async throws {
        let found = try await products(of: server)
        let generator = ProductGenerator(seed: seed)
        #expect(found.count == numbers.count)
        let wrong = numbers.filter { number in
            let expected = generator.product(number)
            return found[expected.id].map { !isSame($0, expected) } ?? true
        }
        #expect(wrong.isEmpty, "\(wrong.count) missing or different, as \(wrong.prefix(5))")
        try expectExactCounts(server)
    }

    /// Whether a product is what a file said: the server adds fields of its own.
    static func isSame(_ product: Catalog.Product, _ expected: Catalog.Product) -> Bool {
        product.id == expected.id && product.name == expected.name && product.category == expected.category && product.price == expected.price
            && product.stock == expected.stock && product.description == expected.description
    }

    /// Checks what is stored of each category against a count of its products.
    static func expectExactCounts(_ server: ServerProcess) throws {
        let pool = try ClientPool.passing(uri: server.mongodb, appName: "checker", size: 1, timeouts: .background)
        let (stored, counted) = try pool.withClient { client throws(MongoError) in
            var stored: [String: Int64] = [:]
            var cursor = try client.collection("categories", in: "orderwire").find(Document())
            while let row = try cursor.next() { stored[try row.string("_id")] = try row.int64("count") }
            let group = Document { stage in
                stage.document("$group") { group in
                    group.append("_id", "$category_key")
                    group.document("count") { $0.document("$sum") { $0.append("$toLong", 1) } }
                }
            }
            var counted: [String: Int64] = [:]
            var groups = try client.collection("products", in: "orderwire").aggregate([group])
            while let row = try groups.next() { counted[try row.string("_id")] = try row.int64("count") }
            return (stored, counted)
        }
        #expect(stored == counted, "counts of categories")
    }
}
