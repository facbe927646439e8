import MongoDB
import ProtoShop
import RPC
import Synchronization

/// Finds pages of products.
final class ProductListing: Sendable {
    private let products: ProductStore
    private let memory = Mutex(ListMemory())

    init(products: ProductStore) { self.products = products }

    /// A page, and what is known about the whole list.
    struct Page: Sendable {
        /// Its products; nil where nothing was to be asked for.
        var products: Batch?
        /// Products of the list; nil where they are not counted.
        var total: Int64?
        /// Where the next page begins; nil after the last.
        var next: PagePosition?
    }

    /// The page that `request` asks for, of a catalogue not older than `snapshot`. Nil where the filter matches too many categories.
    func page(
        _ request: PageRequest, _ snapshot: CatalogSnapshot, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Page? {
        let list = request.list
        var query = ProductStore.Query(list: list)
        var counted = snapshot.productCount
        if !list.category.isEmpty {
            let match = snapshot.matching(list.category)
            guard match.keys.count <= Limits.maxMatchingCategories else { return nil }
            guard !match.keys.isEmpty else { return Page(total: request.totalMode == .none ? nil : 0) }
            (query.categoryKeys, counted) = (match.keys, match.productCount)
        }
        let known = list.isStamped ? memory.withLock { $0.knowledge(of: list, at: snapshot.stamp) } : .init()
        var total = list.isCounted ? counted : known.total
        if total == nil, request.totalMode == .exact {
            total = try products.count(query, client, before: deadline)
            memory.withLock { $0.learn(of: list, at: snapshot.stamp, total: total) }
        }
        let (stretch, before) = place(request, total, known, snapshot.stamp)
        let rows = try products.rows(query, stretch, client, before: deadline)
        let isTold = request.totalMode == .exact || request.totalMode == .unspecified && list.isCounted
        var page = Page(products: rows.batch, total: isTold ? total : nil)
        guard let key = rows.lastKey, !stretch.isAtEnd else { return page }
        let rank = before.map { PagePosition.Rank(count: $0.count + Int64(rows.count), stamp: $0.stamp) }
        let isExact = rank?.stamp == snapshot.stamp
        if isExact, let rank {
            memory.withLock { $0.learn(of: list, at: snapshot.stamp, rank: .init(rank: rank.count, key: key)) }
        }
        // The total may be older than the rows, and the rank older than the total. To say "more" where there is none costs somebody
        // an empty page; the other way round products would be missed.
        let margin = isExact ? 0 : Limits.unseenRemovals
        var hasMore = if let rank, let total { rank.count + margin < total } else { false }
        if !hasMore { hasMore = try products.hasProducts(query, after: key, client, before: deadline) }
        if hasMore { page.next = PagePosition(key: key, rank: list.isStamped ? rank : nil) }
        return page
    }

    /// Where the page lies, and how many products are before it, where that is known, or was when a token was made.
    private func place(
        _ request: PageRequest, _ total: Int64?, _ known: ListMemory.Knowledge, _ stamp: CatalogStamp
    ) -> (stretch: PageStretch, before: PagePosition.Rank?) {
        switch request.start {
        case .number(let number):
            // No overflow: both come from int32.
            let first = (number - 1) * request.size
            return (PageStretch(first: first, size: request.size, total: total, known: known.ranks), .init(count: first, stamp: stamp))
        case .after(let position):
            return (PageStretch(after: position.key, count: request.size), position.rank)
        }
    }
}
