import Glibc
import RPC

/// A random number that every change of the catalogue replaces, and one that every change of a category does: where it is the same,
/// the catalogue, or the products of the category, are the same.
///
/// Adding, removing, renaming, repricing and moving products to other categories are such changes. Stock is not.
/// It is random and not a count, so that it never comes back, not even after a database was restored from an older copy.
struct CatalogStamp: Hashable, Sendable {
    var value: Int64

    /// Of a catalogue that was never changed.
    static let none = CatalogStamp(value: 0)

    static func random() -> CatalogStamp { CatalogStamp(value: .random(in: 1 ... .max)) }

    /// The stamp of several categories together, with one more.
    func adding(_ other: CatalogStamp) -> CatalogStamp {
        let mixed = SplitMix64.mix(SplitMix64.mix(UInt64(bitPattern: value) &+ SplitMix64.step) ^ UInt64(bitPattern: other.value))
        return CatalogStamp(value: Int64(bitPattern: mixed))
    }
}

/// The categories and their counts as they were at one moment.
struct CatalogSnapshot: Sendable {
    let stamp: CatalogStamp
    /// Products of all categories.
    let productCount: Int64
    /// The last changes before it, oldest first, as far as they are told.
    let told: [CatalogChange]

    private let keys: [String]
    private let counts: [Int64]
    private let stamps: [CatalogStamp]
    /// The keys one after another, with a byte between them that no text holds, and where each begins.
    private let text: [UInt8]
    private let starts: [Int]

    init(stamp: CatalogStamp, categories: [(key: String, count: Int64, stamp: CatalogStamp)], told: [CatalogChange] = []) {
        self.stamp = stamp
        self.told = told
        productCount = categories.reduce(0) { $0 + $1.count }
        keys = categories.map(\.key)
        counts = categories.map(\.count)
        stamps = categories.map(\.stamp)
        var text: [UInt8] = []
        var starts: [Int] = []
        for category in categories {
            starts.append(text.count)
            text += category.key.utf8
            text.append(0xFF)
        }
        self.text = text
        self.starts = starts
    }

    /// The categories that a filter matches, how many products they have together, and a stamp that tells whether these are the same.
    struct Match: Sendable, Equatable {
        var keys: [String] = []
        var productCount: Int64 = 0
        var stamp = CatalogStamp.none
    }

    /// The categories whose key contains `part`, which is folded and not empty.
    func matching(_ part: String) -> Match {
        var match = Match()
        var part = part
        part.withUTF8 { part in
            text.withUnsafeBufferPointer { text in
                var index = 0
                while index < keys.count, let offset = Self.offset(of: part, in: text, from: starts[index]) {
                    index = category(at: offset)
                    match.keys.append(keys[index])
                    match.productCount += counts[index]
                    match.stamp = match.stamp.adding(stamps[index])
                    index += 1
                }
            }
        }
        return match
    }

    private static func offset(of part: UnsafeBufferPointer<UInt8>, in text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        guard let base = text.baseAddress, let first = part.first, let pattern = part.baseAddress else { return nil }
        var place = start
        while place + part.count <= text.count, let found = memchr(base + place, Int32(first), text.count - part.count - place + 1) {
            place = UnsafeRawPointer(found) - UnsafeRawPointer(base)
            if memcmp(found, pattern, part.count) == 0 { return place }
            place += 1
        }
        return nil
    }

    /// The index of the category whose key lies at `offset`.
    private func category(at offset: Int) -> Int {
        var (low, high) = (0, starts.count)
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= offset { low = middle + 1 } else { high = middle }
        }
        return low - 1
    }
}
