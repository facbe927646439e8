package import ProtoShop
import RPC

/// Products that look like a large music shop's: for benchmarks, tests, and whoever wants to try a full catalogue.
///
/// Product `n` of a seed is always the same, however many there are, on any machine; it can be had without those before it. Ids
/// do not depend on the seed, so that products of another seed replace them.
///
/// There are 240 categories of very different sizes (`categories`), many equal names, names beyond ASCII, names that only
/// quoting brings through CSV, prices from 0 to 1,999.00 USD, and every tenth product is out of stock.
package struct ProductGenerator: Sendable {
    private let seed: UInt64

    package init(seed: UInt64) { self.seed = seed }

    /// The most popular first: it has 5.0 % of all products.
    package static var categories: [String] { CategoryTable.names }

    /// Id of product `number`, from 1. In the order of the numbers, up to 99,999,999.
    package static func id(_ number: Int) -> String {
        let digits = String(number)
        return "p-" + String(repeating: "0", count: max(0, 8 - digits.utf8.count)) + digits
    }

    /// Product `number`, from 1.
    package func product(_ number: Int) -> Catalog.Product {
        var random = SplitMix64(seed: seed, place: UInt64(number))
        let category = CategoryTable.pick(&random)
        let name = Self.name(&random)
        let cents = Self.cents(&random)
        return Catalog.Product(
            id: Self.id(number), name: name, category: category,
            price: Catalog.Money(currencyCode: "USD", units: cents / 100, nanos: Int32(cents % 100) * 10_000_000),
            stock: Self.stock(&random), description: Self.description(&random))
    }

    // MARK: Parts

    private static func name(_ random: inout SplitMix64) -> String {
        let name =
            switch random.below(100) {
            // 7,200 of these: a million products have each about 35 times.
            case ..<25: random.pick(Words.adjectives) + " " + random.pick(Words.nouns)
            case ..<35: "The " + random.pick(Words.nouns) + " of " + random.pick(Words.places)
            case ..<45: random.pick(Words.adjectives) + " " + random.pick(Words.nouns) + " (" + random.pick(Words.editions) + ")"
            case ..<53: random.pick(Words.verbs) + " the " + random.pick(Words.nouns)
            case ..<61: random.pick(Words.nouns) + " for " + random.pick(Words.people)
            case ..<69: random.pick(Words.places) + " " + random.pick(Words.nouns) + " " + year(&random)
            case ..<76: random.pick(Words.nouns) + " No. " + String(1 + random.below(99))
            case ..<82: random.pick(Words.people) + "'s " + random.pick(Words.nouns) + ", Part " + String(1 + random.below(9))
            case ..<85: "The \"" + random.pick(Words.adjectives) + "\" " + random.pick(Words.nouns)
            case ..<87: (random.pick(Words.adjectives) + " " + random.pick(Words.nouns)).uppercased()
            case ..<90: accented(&random)
            case ..<92: random.pick(Words.greek.0) + " " + random.pick(Words.greek.1)
            case ..<94: random.pick(Words.japanese.0) + random.pick(Words.japanese.1)
            case ..<95: random.pick(Words.nouns) + " " + random.pick(Words.emoji)
            default: random.pick(Words.people) + " and the " + random.pick(Words.adjectives) + " " + random.pick(Words.nouns)
            }
        return name
    }

    private static func accented(_ random: inout SplitMix64) -> String {
        let pattern = random.pick(Words.accented)
        guard let mark = pattern.utf8.firstIndex(of: UInt8(ascii: "%")) else { return pattern }
        return pattern[..<mark] + random.pick(Words.nouns) + pattern[mark...].dropFirst()
    }

    private static func year(_ random: inout SplitMix64) -> String { String(1955 + random.below(70)) }

    private static func cents(_ random: inout SplitMix64) -> Int64 {
        let cents =
            switch random.below(1000) {
            case ..<5: 0
            case ..<300: 99
            case ..<450: 129
            case ..<500: 199
            case ..<800: 399 + 100 * random.below(26)  // 3.99 to 28.99
            case ..<900: 500 + 50 * random.below(60)  // 5.00 to 34.50
            case ..<995: 3500 + 5 * random.below(4000)  // 35.00 to 234.95
            default: 199_900
            }
        return Int64(cents)
    }

    private static func stock(_ random: inout SplitMix64) -> Int64 {
        let pieces =
            switch random.below(100) {
            case ..<10: 0
            case ..<70: 1 + random.below(100)
            case ..<95: 101 + random.below(900)
            default: 1001 + random.below(19_000)
            }
        return Int64(pieces)
    }

    private static func description(_ random: inout SplitMix64) -> String {
        guard random.below(10) < 7 else { return "" }
        var text = "From \"" + random.pick(Words.adjectives) + " " + random.pick(Words.nouns) + "\" by " + random.pick(Words.people)
        text += " and the " + random.pick(Words.nouns) + " Quartet, " + random.pick(Words.places) + " " + year(&random)
        if random.below(10) == 0 { text += ". Pressed on " + random.pick(["black", "red", "clear"]) + " vinyl; includes a booklet of 16 pages" }
        return text
    }
}
