import MongoDB
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

@Suite("Changes of products", .serialized)
struct ProductChangesTests {
    /// Runs `body` beside a shop with the product "p", version included.
    private func withProduct(
        _ body: (Catalog.CatalogService.Client, Catalog.Product, RunningShop) async throws -> Void
    ) async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, _ in
            _ = try await catalog.importProducts(.init(products: [.sample("p", category: "Rock", cents: 100, stock: 7), .sample("other")]))
            let product = try #require(try await catalog.getProduct(.init(id: "p")).product)
            try await body(catalog, product, shop)
        }
    }

    private func fields(_ product: Catalog.Product) -> [String] {
        [product.name, product.category, product.price.map { "\($0.units).\($0.nanos)" } ?? "", product.description, "\(product.stock)"]
    }

    @Test("an update changes the named fields and nothing else, and the version grows", arguments: [
        (["name"], ["New", "Rock", "1.0", "", "7"]), (["category"], ["Product p", "Pop", "1.0", "", "7"]),
        (["price"], ["Product p", "Rock", "2.500000000", "", "7"]), (["description"], ["Product p", "Rock", "1.0", "Text", "7"]),
        (["price", "name", "price"], ["New", "Rock", "2.500000000", "", "7"]), ([], ["New", "Pop", "2.500000000", "Text", "7"]),
    ] as [([String], [String])])
    func update(named: [String], expected: [String]) async throws {
        try await withProduct { catalog, product, shop in
            let wanted = Catalog.Product(
                id: "p", name: "New", category: "Pop", price: MinorAmount(currency: "USD", minor: 250).money, stock: 99, description: "Text")
            let response = try await catalog.updateProduct(
                .init(product: wanted, updateFields: named, expectedVersion: product.version))
            let updated = try #require(response.product)
            #expect(fields(updated) == expected)
            #expect(updated.version > product.version)
            #expect(try await catalog.getProduct(.init(id: "p")).product == updated)
            // It is found and sorted by what it is now.
            let category = updated.category
            #expect(try await catalog.listProducts(.init(category: category)).products.map(\.id).contains("p"))
            #expect(try await catalog.listProducts(.init(category: "Pop")).totalSize == (category == "Pop" ? 1 : 0))
            #expect(try await catalog.checkCatalog(.init()).findingCount == 0)
        }
    }

    @Test("whoever comes second is told so, and with which version; nothing is overwritten")
    func versions() async throws {
        try await withProduct { catalog, product, _ in
            let first = try await catalog.updateProduct(.init(product: .sample("p", name: "First"), updateFields: ["name"], expectedVersion: product.version))
            let second = Catalog.UpdateProductRequest(product: .sample("p", name: "Second"), updateFields: ["name"], expectedVersion: product.version)
            let error = await failure { () throws(RPCError) in try await catalog.updateProduct(second) }
            #expect(error?.code == .aborted && error?.reason == "VERSION_MISMATCH" && error?.disposition == .executed)
            #expect(error?.metadata["version"] == first.product.map { "\($0.version)" })
            #expect(try await catalog.getProduct(.init(id: "p")).product?.name == "First")
            let deletion = await failure { () throws(RPCError) in
                try await catalog.deleteProduct(.init(id: "p", expectedVersion: product.version))
            }
            #expect(deletion?.reason == "VERSION_MISMATCH")
        }
    }

    @Test("an update that has been made already is answered as one that is made now")
    func repeated() async throws {
        try await withProduct { catalog, product, _ in
            let request = Catalog.UpdateProductRequest(product: .sample("p", name: "New"), updateFields: ["name"], expectedVersion: product.version)
            let first = try await catalog.updateProduct(request)
            #expect(try await catalog.updateProduct(request) == first)
        }
    }

    @Test("stock moves leave the version alone, so they never stand in the way of an update")
    func stockIsNoVersion() async throws {
        try await withProduct { catalog, product, _ in
            _ = try await catalog.adjustStock(.init(id: "p", delta: 3, requestId: "r"))
            let response = try await catalog.updateProduct(
                .init(product: .sample("p", name: "New", stock: 1), updateFields: ["name"], expectedVersion: product.version))
            #expect(response.product?.stock == 10)
        }
    }

    @Test("a deleted product is gone from lists and counts; imported again it has a version that it never had")
    func delete() async throws {
        try await withProduct { catalog, product, shop in
            let deleted = try await catalog.deleteProduct(.init(id: "p", expectedVersion: product.version)).product
            #expect(deleted == product)
            let error = await failure { () throws(RPCError) in try await catalog.getProduct(.init(id: "p")) }
            #expect(error?.reason == "PRODUCT_NOT_FOUND")
            let again = await failure { () throws(RPCError) in try await catalog.deleteProduct(.init(id: "p")) }
            #expect(again?.reason == "PRODUCT_NOT_FOUND")
            #expect(try await catalog.listProducts(.init()).totalSize == 1)
            _ = try await catalog.deleteProduct(.init(id: "other"))
            #expect(try await catalog.listProducts(.init()).totalSize == 0)
            #expect(try await catalog.checkCatalog(.init()) == .init())

            _ = try await catalog.importProducts(.init(products: [.sample("p")]))
            let imported = try #require(try await catalog.getProduct(.init(id: "p")).product)
            #expect(imported.version > product.version)
        }
    }

    @Test("what cannot be updated is refused, all of it at once", arguments: [
        (Catalog.UpdateProductRequest(), ["product.id", "product.name", "product.category", "product.price", "expected_version"]),
        (.init(product: .sample("p"), updateFields: ["stock", "name", "Name", ""], expectedVersion: 1), ["update_fields[0]", "update_fields[2]", "update_fields[3]"]),
        (.init(product: .sample("a b", name: ""), updateFields: ["price"], expectedVersion: 1), ["product.id"]),
        (.init(product: .sample("p", cents: -1, currency: "usd"), updateFields: ["price"], expectedVersion: -1),
         ["product.price.currency_code", "product.price", "expected_version"]),
    ])
    func refused(request: Catalog.UpdateProductRequest, fields: [String]) throws {
        let error = #expect(throws: RPCError.self) { try ProductUpdate(request) }
        #expect(error?.fieldViolations.map(\.field) == fields)
    }

    @Test("text is plain text", arguments: ["$set", "{\"$gt\":\"\"}", "a.b", "line\nbreak \u{1B}[2J", "(a+)+$", "Ünïcode ☃ \u{202E}"])
    func plainText(text: String) async throws {
        try await withProduct { catalog, product, _ in
            let wanted = Catalog.Product(id: "p", name: text, category: text, description: text)
            let updated = try await catalog.updateProduct(
                .init(product: wanted, updateFields: ["name", "category", "description"], expectedVersion: product.version)).product
            #expect(updated?.name == text && updated?.category == text && updated?.description == text)
            #expect(try await catalog.listProducts(.init(category: text)).products.map(\.id) == ["p"])
            #expect(try await catalog.checkCatalog(.init()).findingCount == 0)
        }
    }
}
