import CatalogGenerator
import ProtoShop
import Testing

@Suite struct ProductGeneratorTests {
    private static let products = (1...20_000).map { ProductGenerator(seed: 1).product($0) }

    @Test func aSeedMeansTheSameProductsForEver() throws {
        // Whoever changes these has to say so: databases and figures were made with them.
        let lines = try [1, 2, 1_000_000].map { try ProductGenerator(seed: 1).product($0).jsonString() }
        #expect(lines == [
            #"{"id":"p-00000001","name":"Čekání na Déšť","category":"Jazz","price":{"currencyCode":"USD","nanos":990000000},"stock":"791"}"#,
            #"{"id":"p-00000002","name":"Niño de la Luna","category":"Live Gospel","price":{"currencyCode":"USD","units":"159","#
                + #""nanos":600000000},"stock":"47","description":"From \"Wild Village\" by Wanda and the Boat Quartet, Galway 2013"}"#,
            #"{"id":"p-01000000","name":"Garden No. 48","category":"Funk","price":{"currencyCode":"USD","units":"1","nanos":290000000},"stock":"19"}"#,
        ])
        #expect(Self.digest(Self.products) == 1_882_970_457_717_234_485)
        #expect(Self.digest((1...20_000).map { ProductGenerator(seed: 2).product($0) }) != Self.digest(Self.products))
    }

    @Test func idsSortAsTheirNumbersAndAreTheSameWithEverySeed() {
        #expect(ProductGenerator.id(1) == "p-00000001")
        #expect(ProductGenerator.id(12_345_678) == "p-12345678")
        #expect(Self.products.map(\.id) == (1...20_000).map { ProductGenerator(seed: 9).product($0).id })
        #expect(Self.products.map(\.id) == Self.products.map(\.id).sorted())
    }

    @Test func categoriesAreManyAndSkewed() {
        let counts = Dictionary(Self.products.map { ($0.category, 1) }, uniquingKeysWith: +)
        #expect(ProductGenerator.categories.count == 240 && Set(ProductGenerator.categories).count == 240)
        #expect(Set(counts.keys).isSubset(of: ProductGenerator.categories))
        #expect(counts.values.max() == counts["Rock"])
        #expect((900...1100).contains(counts["Rock"] ?? 0), "5 % of 20,000")
        #expect(counts.values.filter { $0 < 100 }.count > 150)
        #expect(ProductGenerator.categories.filter { $0.lowercased().contains("rock") }.count == 35)
    }

    @Test func namesRepeatAndGoBeyondASCII() {
        let counts = Dictionary(Self.products.map { ($0.name, 1) }, uniquingKeysWith: +)
        #expect(counts.values.filter { $0 > 1 }.count > 2000)
        let foreign = Self.products.filter { !$0.name.utf8.allSatisfy { $0 < 0x80 } }.count
        #expect((1000...2000).contains(foreign))
        let scripts: [(String, ClosedRange<UInt32>)] = [("é", 0xC0...0x24F), ("Ω", 0x370...0x3FF), ("の", 0x3040...0x30FF), ("🎸", 0x1F000...0x1FFFF)]
        for (example, range) in scripts {
            #expect(Self.products.contains { $0.name.unicodeScalars.contains { range.contains($0.value) } }, "\(example)")
        }
        #expect(Self.products.contains { $0.name.contains(",") } && Self.products.contains { $0.name.contains("\"") })
    }

    @Test func pricesAndStockAreSensible() {
        for product in Self.products {
            #expect(product.price?.currencyCode == "USD")
            #expect((0...1999).contains(product.price?.units ?? -1) && (product.price?.nanos ?? -1) % 10_000_000 == 0)
            #expect((0...20_000).contains(product.stock))
        }
        let empty = Self.products.filter { $0.stock == 0 }.count
        #expect((1800...2200).contains(empty), "a tenth")
    }

    /// FNV-1a of all fields.
    private static func digest(_ products: [Catalog.Product]) -> UInt64 {
        var digest: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ text: String) {
            for byte in text.utf8 { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01B3 }
        }
        for product in products {
            for text in [product.id, product.name, product.category, product.description, "\(product.stock)"] { add(text) }
            add("\(product.price?.units ?? 0).\(product.price?.nanos ?? 0)")
        }
        return digest
    }
}
