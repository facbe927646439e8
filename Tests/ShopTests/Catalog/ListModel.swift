import ProtoShop
import RPC
import TestSupport

@testable import Shop

/// What a list of products is to be, computed in the plainest way from all products.
struct ListModel {
    var products: [Catalog.Product]

    func list(_ request: Catalog.ListProductsRequest) -> [Catalog.Product] {
        let found = products.filter { product in
            let price = product.price ?? .init()
            return contains(NameFolding.fold(product.category), NameFolding.fold(request.category))
                && (!request.inStockOnly || product.stock > 0)
                && NameFolding.fold(product.name).utf8.starts(with: NameFolding.fold(request.namePrefix).utf8)
                && request.minPrice.map { $0.currencyCode == price.currencyCode && $0.minor <= price.minor } ?? true
                && request.maxPrice.map { $0.currencyCode == price.currencyCode && $0.minor >= price.minor } ?? true
        }
        let sorted = found.sorted { left, right in
            if request.orderBy.hasPrefix("price"), let (a, b) = both(left.price, right.price), (a.currencyCode, a.minor) != (b.currencyCode, b.minor) {
                return (a.currencyCode, a.minor) < (b.currencyCode, b.minor)
            }
            let names = (Array(NameFolding.fold(left.name).utf8), Array(NameFolding.fold(right.name).utf8))
            if !request.orderBy.hasPrefix("price"), names.0 != names.1 { return names.0.lexicographicallyPrecedes(names.1) }
            return left.id.utf8.lexicographicallyPrecedes(right.id.utf8)
        }
        return request.orderBy.hasSuffix("desc") ? sorted.reversed() : sorted
    }

    /// Categories of which a list is made.
    func matchingCategories(_ request: Catalog.ListProductsRequest) -> Int {
        if request.category.isEmpty { return 0 }
        return Set(products.map { NameFolding.fold($0.category) }).count { contains($0, NameFolding.fold(request.category)) }
    }

    private func both(_ left: Catalog.Money?, _ right: Catalog.Money?) -> (Catalog.Money, Catalog.Money)? {
        left.flatMap { left in right.map { (left, $0) } }
    }

    private func contains(_ text: String, _ part: String) -> Bool {
        let (text, part) = (Array(text.utf8), Array(part.utf8))
        return part.isEmpty || text.count >= part.count && (0...(text.count - part.count)).contains { text[$0..<($0 + part.count)].elementsEqual(part) }
    }
}

extension ListModel {
    /// A catalogue with equal names, names beyond ASCII, three currencies, equal prices, and a third of the products out of stock.
    static func random(_ count: Int, categories: Int, using random: inout SeededGenerator) -> ListModel {
        let names = ["Tea", "tea", "Téa", "Teapot", "Go", "Go West", "Zoë", "Über", "🎸", "", "한글", "T"]
        return ListModel(products: (0..<count).map { index in
            let name = (names.randomElement(using: &random) ?? "") + ["", " ", " 2", "é"][Int.random(in: 0..<4, using: &random)]
            let category = Int.random(in: 0..<categories, using: &random)
            return .sample(
                "\(["p", "P", "x"][index % 3])\(index)", name: name.isEmpty ? "~" : name, category: (category % 5 == 0 ? "Group " : "Métal ") + "\(category)",
                cents: Int64.random(in: 0...40, using: &random) * (index % 7 == 0 ? 1_000_000_000 : 1),
                currency: ["USD", "USD", "EUR", "AUD"][Int.random(in: 0..<4, using: &random)],
                stock: Int64.random(in: 0...2, using: &random))
        })
    }

    /// A request for each row of the table, both ways, with and without a range.
    static func requests(using random: inout SeededGenerator) -> [Catalog.ListProductsRequest] {
        var requests: [Catalog.ListProductsRequest] = []
        for orderBy in ["name", "name desc", "price", "price desc"] {
            for category in ["", "metal", ["group", "tal 1", "7"].randomElement(using: &random) ?? ""] {
                for inStockOnly in [false, true] {
                    let plain = Catalog.ListProductsRequest(category: category, orderBy: orderBy, inStockOnly: inStockOnly)
                    var ranged = plain
                    if orderBy.hasPrefix("name") {
                        ranged.namePrefix = ["T", "té", "go", "GO ", "z", "🎸", "한"].randomElement(using: &random) ?? ""
                    } else {
                        let low = Int64.random(in: 0...30, using: &random)
                        ranged.minPrice = Bool.random(using: &random) ? MinorAmount(currency: "USD", minor: low).money : nil
                        let high = Bool.random(using: &random) ? low + 10 : .max / 100
                        ranged.maxPrice = ranged.minPrice == nil || Bool.random(using: &random) ? MinorAmount(currency: "USD", minor: high).money : nil
                    }
                    requests += [plain, ranged]
                }
            }
        }
        return requests
    }
}

extension Catalog.CatalogService.Client {
    func importAll(_ products: [Catalog.Product]) async throws {
        for start in stride(from: 0, to: products.count, by: 1000) {
            _ = try await importProducts(.init(products: Array(products[start..<min(start + 1000, products.count)])))
        }
    }
}
