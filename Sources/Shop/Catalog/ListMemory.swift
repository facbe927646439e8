import Synchronization

/// What answered pages taught about lists: ranks of products, which follow changes that are told, and totals that were counted,
/// which hold while the list stays as it is.
///
/// With it a page by number, however deep, begins at the nearest product that is known instead of at an end.
struct ListMemory: Sendable {
    struct Knowledge: Sendable {
        var ranks = RankedKeys()
        /// Products of the list, where they were counted.
        var total: Int64?
        /// It holds while the list has this stamp.
        fileprivate var stamp = CatalogStamp.none
        /// One of the catalogue's stamps under which it has that one.
        fileprivate var catalogStamp = CatalogStamp.none
        fileprivate var lastUse: UInt64 = 0
    }

    private var lists: [ProductList: Knowledge] = [:]
    private var log = CatalogLog()
    private var uses: UInt64 = 0
    /// Ranks of all lists.
    private(set) var rankCount = 0

    var count: Int { lists.count }

    /// What is known of a list that has this stamp in `snapshot`. With a new stamp the ranks follow the changes since; where these are not
    /// known, all that was known of the list is forgotten.
    mutating func knowledge(of list: ProductList, at stamp: CatalogStamp, in snapshot: CatalogSnapshot) -> Knowledge {
        guard list.isStamped else { return Knowledge() }
        log.add(snapshot.told, upTo: snapshot.stamp)
        var knowledge = lists[list] ?? Knowledge()
        if knowledge.stamp != stamp {
            // A call that comes late with an older snapshot takes nothing from the others.
            if log.changes(from: snapshot.stamp, to: knowledge.catalogStamp) != nil { return Knowledge() }
            rankCount -= knowledge.ranks.entries.count
            var ranks = RankedKeys()
            if let changes = log.changes(from: knowledge.catalogStamp, to: snapshot.stamp) {
                ranks = knowledge.ranks
                for move in changes.lazy.flatMap(\.moves) { ranks.follow(move, in: list) }
            }
            knowledge = Knowledge(ranks: ranks, stamp: stamp)
            rankCount += ranks.entries.count
        }
        knowledge.catalogStamp = snapshot.stamp
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
