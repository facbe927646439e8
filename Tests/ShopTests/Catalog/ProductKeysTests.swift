import TestSupport
import Testing

@testable import Shop

@Suite("Product keys")
struct ProductKeysTests {
    private func isBefore(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }

    @Test("a name comes before the names it begins")
    func prefix() {
        #expect(isBefore(ProductKeys.nameKey(name: "Go", id: "z"), ProductKeys.nameKey(name: "Go West", id: "a")))
        #expect(isBefore(ProductKeys.nameKey(name: "Go", id: "z"), ProductKeys.nameKey(name: "Go\u{1}", id: "a")))
    }

    @Test("equal names are ordered by id, byte by byte: ids that differ in case only do not tie")
    func ties() {
        let keys = ["B", "a", "A", "b"].map { ProductKeys.nameKey(name: "Same", id: $0) }
        #expect(Set(keys).count == 4)
        #expect(keys.sorted(by: isBefore).map { $0.last } == ["A", "B", "a", "b"])
    }

    @Test("names sort as people sort")
    func people() {
        let names = ["Zebra", "éclair", "apple", "Öl", "Eagle", "oak"]
        let sorted = names.sorted { isBefore(ProductKeys.nameKey(name: $0, id: "1"), ProductKeys.nameKey(name: $1, id: "1")) }
        #expect(sorted == ["apple", "Eagle", "éclair", "oak", "Öl", "Zebra"])
    }

    @Test("prices sort by currency, then by amount as a number, then by id")
    func prices() {
        let prices: [(String, Int64, String)] = [
            ("EUR", 0, "a"), ("EUR", 9, "a"), ("EUR", 10, "Z"), ("EUR", 10, "a"), ("EUR", 100, "a"), ("EUR", .max, "a"), ("USD", 0, "a"),
        ]
        let keys = prices.map { ProductKeys.priceKey(MinorAmount(currency: $0.0, minor: $0.1), id: $0.2) }
        #expect(keys.sorted(by: isBefore) == keys)
        #expect(Set(keys).count == keys.count)
    }

    private func contains(_ range: KeyRange, _ key: String) -> Bool {
        !(range.lower.map { isBefore(key, $0) } ?? false) && (range.upper.map { isBefore(key, $0) } ?? true)
    }

    @Test("a range of prices holds what lies between its ends, both included, in its currency alone", arguments: Seeds.fresh(100))
    func priceRange(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let amounts: [Int64] = [0, 1, 9, 10, 99, 100, .max - 1, .max, .random(in: 0 ... .max, using: &random), .random(in: 0...1000, using: &random)]
        for _ in 0..<50 {
            let low = Bool.random(using: &random) ? amounts.randomElement(using: &random) : nil
            let high = Bool.random(using: &random) ? amounts.randomElement(using: &random) : nil
            let currency = ["USD", "AAA", "ZZZ"].randomElement(using: &random) ?? ""
            let range = KeyRange(currency: currency, from: low, through: high)
            for other in ["USD", "USC", "USE", "AAA", "ZZZ"] {
                for amount in amounts {
                    let key = ProductKeys.priceKey(MinorAmount(currency: other, minor: amount), id: "~~")
                    let isIn = other == currency && amount >= low ?? 0 && amount <= high ?? .max
                    #expect(contains(range, key) == isIn, "\(other) \(amount) in \(range)")
                }
            }
        }
    }

    @Test("a prefix's range holds the names that begin with it, whatever their case and accents, and no others", arguments: Seeds.fresh(100))
    func prefixRange(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let letters = ["a", "Á", "b", "z", "ß", "ss", " ", "\u{D7FF}", "\u{E000}", "\u{10FFFF}", "한", "ﬁ", "\u{7F}", "\n", "\u{301}", "", "-"]
        func text() -> String { (0..<Int.random(in: 0...4, using: &random)).map { _ in letters.randomElement(using: &random) ?? "" }.joined() }
        for _ in 0..<200 {
            let (prefix, name) = (text(), text() + text())
            let begins = NameFolding.fold(name).utf8.starts(with: NameFolding.fold(prefix).utf8)
            let range = KeyRange(namePrefix: prefix)
            #expect(contains(range, ProductKeys.nameKey(name: name, id: "~")) == begins, "\(prefix.debugDescription), \(name.debugDescription)")
        }
        #expect(KeyRange(namePrefix: "") == .all)
        #expect(KeyRange(namePrefix: "\u{301}") == .all)
    }
}
