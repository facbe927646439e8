/// Products of one list whose ranks are known: how many products the list has up to and including them.
///
/// A bounded number of them, spread evenly: where too many have come together, those nearest to each other go.
struct RankedKeys: Sendable {
    struct Entry: Sendable, Equatable {
        var rank: Int64
        var key: String
    }

    /// By rank.
    private(set) var entries: [Entry] = []
    /// Ranks between neighbours, at least.
    private(set) var spacing = Self.closest

    /// To skip so many keys costs less than what it takes to remember them.
    static let closest: Int64 = 64

    /// The nearest product that lies `rank` or less from the start.
    func last(upTo rank: Int64) -> Entry? {
        let index = index(after: rank)
        return index > 0 ? entries[index - 1] : nil
    }

    /// The nearest product that lies `rank` or more from the start.
    func first(from rank: Int64) -> Entry? {
        let index = index(after: rank - 1)
        return index < entries.count ? entries[index] : nil
    }

    /// Remembers a product, unless one near to it is known.
    mutating func insert(_ entry: Entry) {
        let index = index(after: entry.rank)
        if index > 0, entry.rank - entries[index - 1].rank < spacing { return }
        if index < entries.count, entries[index].rank - entry.rank < spacing { return }
        entries.insert(entry, at: index)
        while entries.count > Limits.maxRanksOfList { thinOut() }
    }

    /// Makes the ranks what they are after a move, where all of them were right before.
    mutating func follow(_ move: ProductMove, in list: ProductList) {
        let from = move.from.flatMap { list.holds($0) ? $0.key(list.order.key) : nil }
        let to = move.to.flatMap { list.holds($0) ? $0.key(list.order.key) : nil }
        if let from, let to, from.utf8.elementsEqual(to.utf8) { return }
        if let from {
            let index = index(notBefore: from, in: list)
            if index < entries.count, entries[index].key.utf8.elementsEqual(from.utf8) { entries.remove(at: index) }
            for index in index..<entries.count { entries[index].rank -= 1 }
        }
        if let to {
            for index in index(notBefore: to, in: list)..<entries.count { entries[index].rank += 1 }
        }
    }

    private mutating func thinOut() {
        spacing *= 2
        var kept: [Entry] = []
        for entry in entries where kept.last.map({ entry.rank - $0.rank >= spacing }) ?? true { kept.append(entry) }
        entries = kept
    }

    /// The index of the first entry that is, or in the list's order comes after, `key`.
    private func index(notBefore key: String, in list: ProductList) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            let (first, second) = list.order.isDescending ? (key, entries[middle].key) : (entries[middle].key, key)
            if first.isBefore(second) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The index of the first entry whose rank is greater.
    private func index(after rank: Int64) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].rank <= rank { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
