import Synchronization

/// What answered pages taught about lists, while the catalogue stays as it is: ranks of products, and totals that were counted.
///
/// With it a page by number, however deep, begins at the nearest product that is known instead of at an end.
struct ListMemory: Sendable {
    struct Knowledge: Sendable {
        var ranks = RankedKeys()
        /// Products of the list, where they were counted.
        var total: Int64?
        fileprivate var lastUse: UInt64 = 0
    }

    /// What is known holds while the catalogue has this stamp.
    private var stamp = CatalogStamp.none
    private var lists: [ProductList: Knowledge] = [:]
    private var uses: UInt64 = 0

    var count: Int { lists.count }

    /// What is known of a list. With a new stamp, all that was known of any list is forgotten.
    mutating func knowledge(of list: ProductList, at stamp: CatalogStamp) -> Knowledge {
        if stamp != self.stamp {
            self.stamp = stamp
            lists.removeAll()
        }
        guard var knowledge = lists[list] else { return Knowledge() }
        uses += 1
        knowledge.lastUse = uses
        lists[list] = knowledge
        return knowledge
    }

    /// Adds to what is known. What was learned under another stamp is too late, and ignored.
    mutating func learn(of list: ProductList, at stamp: CatalogStamp, rank: RankedKeys.Entry? = nil, total: Int64? = nil) {
        guard stamp == self.stamp, list.isStamped, rank != nil || total != nil else { return }
        uses += 1
        var knowledge = lists[list] ?? Knowledge()
        knowledge.lastUse = uses
        if let rank { knowledge.ranks.insert(rank) }
        if let total { knowledge.total = total }
        lists[list] = knowledge
        if lists.count > Limits.maxRememberedLists, let oldest = lists.min(by: { $0.value.lastUse < $1.value.lastUse }) {
            lists[oldest.key] = nil
        }
    }
}
