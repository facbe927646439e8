import Synchronization

/// What answered pages taught about lists, while these stay as they are: ranks of products, and totals that were counted.
///
/// With it a page by number, however deep, begins at the nearest product that is known instead of at an end.
struct ListMemory: Sendable {
    struct Knowledge: Sendable {
        var ranks = RankedKeys()
        /// Products of the list, where they were counted.
        var total: Int64?
        /// It holds while the list has this stamp.
        fileprivate var stamp = CatalogStamp.none
        fileprivate var lastUse: UInt64 = 0
    }

    private var lists: [ProductList: Knowledge] = [:]
    private var uses: UInt64 = 0
    /// Ranks of all lists.
    private(set) var rankCount = 0

    var count: Int { lists.count }

    /// What is known of a list. With a new stamp, all that was known of it is forgotten.
    mutating func knowledge(of list: ProductList, at stamp: CatalogStamp) -> Knowledge {
        guard list.isStamped else { return Knowledge() }
        var knowledge = lists[list] ?? Knowledge()
        if knowledge.stamp != stamp {
            rankCount -= knowledge.ranks.entries.count
            knowledge = Knowledge(stamp: stamp)
        }
        keep(knowledge, of: list)
        return knowledge
    }

    /// Adds to what is known. What was learned under another stamp than the one that was last asked for is too late, and ignored.
    mutating func learn(of list: ProductList, at stamp: CatalogStamp, rank: RankedKeys.Entry? = nil, total: Int64? = nil) {
        guard var knowledge = lists[list], knowledge.stamp == stamp else { return }
        if let rank {
            rankCount -= knowledge.ranks.entries.count
            knowledge.ranks.insert(rank)
            rankCount += knowledge.ranks.entries.count
        }
        if let total { knowledge.total = total }
        keep(knowledge, of: list)
    }

    private mutating func keep(_ knowledge: Knowledge, of list: ProductList) {
        uses += 1
        var knowledge = knowledge
        knowledge.lastUse = uses
        lists[list] = knowledge
        if lists.count > Limits.maxRememberedLists || rankCount > Limits.maxRememberedRanks { forgetOldest() }
    }

    /// Forgets what was not used for longest: enough at once for this to be seldom.
    private mutating func forgetOldest() {
        let byUse = lists.sorted { $0.value.lastUse < $1.value.lastUse }
        for (list, knowledge) in byUse.prefix(max(1, lists.count / 8)) {
            lists[list] = nil
            rankCount -= knowledge.ranks.entries.count
        }
    }
}
