import MongoDB
import ProtoShop
import RPC
import Synchronization

/// Finds pages of products.
final class ProductListing: Sendable {
    private let products: ProductStore
    private let categories: CategoryStore
    private let memory = Mutex(ListMemory())

    init(products: ProductStore, categories: CategoryStore) {
        self.products = products
        self.categories = categories
    }

    /// A page, and what is known about the whole list.
    struct Page: Sendable {
        /// Its products; nil where nothing was to be asked for.
        var products: Batch?
        /// Products of the list; nil where they are not counted.
        var total: Int64?
        /// Where the next page begins; nil after the last.
        var next: PagePosition?
    }

    /// The pages that are asked for, of a catalogue not older than `snapshot`; their rows are read by one command. Nil where a filter
    /// matches too many categories.
    ///
    /// - Parameter requests: one, or several of one shape that are read together.
    func pages(
        _ requests: [PageRequest], _ snapshot: CatalogSnapshot, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> [Page?] {
        var found: [Found] = []
        for request in requests { found.append(try find(request, snapshot, client, before: deadline)) }
        let parts = found.compactMap { if case .place(let place) = $0 { (place.query, place.stretch) } else { nil } }
        var rows = try products.rows(parts, client, before: deadline)[...]
        var pages: [Page?] = []
        for found in found {
            switch found {
            case .place(let place): pages.append(try page(place, rows.removeFirst(), client, before: deadline))
            case .nothing(let page): pages.append(page)
            case .tooManyCategories: pages.append(nil)
            }
        }
        return pages
    }

    private enum Found {
        case place(Place)
        /// There is nothing to be read.
        case nothing(Page)
        case tooManyCategories
    }

    /// Where the rows of a page lie.
    private struct Place {
        var query: ProductStore.Query
        var stretch: PageStretch
        /// Products before it, where that is known.
        var before: PagePosition.Rank?
        /// Products of the list, where that is known, and whether the answer says it.
        var total: Int64?
        var isTotalTold: Bool
        /// That of the list.
        var stamp: CatalogStamp
    }

    private func find(
        _ request: PageRequest, _ snapshot: CatalogSnapshot, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Found {
        let list = request.list
        var query = ProductStore.Query(list: list)
        var (counted, stamp) = (snapshot.productCount, snapshot.stamp)
        if !list.category.isEmpty {
            let match = snapshot.matching(list.category)
            guard match.keys.count <= Limits.maxMatchingCategories else { return .tooManyCategories }
            guard !match.keys.isEmpty else { return .nothing(Page(total: request.totalMode == .none ? nil : 0)) }
            (query.categoryKeys, counted, stamp) = (match.keys, match.productCount, match.stamp)
        }
        let known = memory.withLock { $0.knowledge(of: list, at: stamp, in: snapshot) }
        var total = list.isCounted ? counted : known.total
        if total == nil, request.totalMode == .exact {
            total = try products.count(query, client, before: deadline)
            memory.withLock { $0.learn(of: list, at: stamp, total: total) }
        }
        let (place, before) = place(request, total, known, stamp)
        guard let stretch = try approach(place, after: before, of: query, snapshot, client, before: deadline) else {
            return .nothing(Page(total: isTold(request) ? total : nil))
        }
        return .place(
            Place(query: query, stretch: stretch, before: before, total: total, isTotalTold: isTold(request), stamp: stamp))
    }

    /// The page of these rows, and whether another follows.
    private func page(
        _ place: Place, _ rows: ProductStore.Rows, _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> Page {
        var page = Page(products: rows.batch, total: place.isTotalTold ? place.total : nil)
        guard let key = rows.lastKey, !place.stretch.isAtEnd else { return page }
        let rank = place.before.map { PagePosition.Rank(count: $0.count + Int64(rows.count), stamp: $0.stamp) }
        let isExact = rank?.stamp == place.stamp
        // The total may be older than the rows, and the rank older than the total. To say "more" where there is none costs somebody
        // an empty page; the other way round products would be missed.
        let margin = isExact ? 0 : Limits.unseenRemovals
        var hasMore = if let rank, let total = place.total { rank.count + margin < total } else { false }
        if !hasMore { hasMore = try products.key(place.query, PageStretch(after: key, count: 1), client, before: deadline) != nil }
        if hasMore { page.next = PagePosition(key: key, rank: place.query.list.isStamped ? rank : nil) }
        return page
    }

    /// Goes the way to a page that is far from anywhere. Where its steps lead is remembered, so that who asks for a page near it, or again
    /// because the time was over on the way, is led on from there. Nil where the list ends before.
    ///
    /// A rank that is remembered follows all later changes, so it must be that of its stamp and no other. It is where the stamp
    /// is still the same after the step: both are read as a majority has them, of which the past never changes.
    private func approach(
        _ place: PageStretch, after before: PagePosition.Rank?, of query: ProductStore.Query, _ snapshot: CatalogSnapshot,
        _ client: borrowing Client, before deadline: Deadline
    ) throws(MongoError) -> PageStretch? {
        var stretch = place
        while let step = stretch.firstStep(over: query.list.isStamped ? Limits.maxUnlearnedSkip : Limits.maxSkip) {
            guard let key = try products.key(query, step, client, before: deadline) else { return nil }
            stretch = stretch.afterStep(to: key)
            guard let before, query.list.isStamped, try categories.stamp(client, before: deadline).stamp == snapshot.stamp else { continue }
            let rank = RankedKeys.Entry(rank: stretch.rankOfAnchor(after: before.count), key: key)
            memory.withLock { $0.learn(of: query.list, at: before.stamp, rank: rank) }
        }
        return stretch
    }

    /// Whether the answer says how many products the list has, where that is known.
    private func isTold(_ request: PageRequest) -> Bool {
        request.totalMode == .exact || request.totalMode == .unspecified && request.list.isCounted
    }

    /// Where the page lies, and how many products are before it, where that is known, or was when a token was made.
    private func place(
        _ request: PageRequest, _ total: Int64?, _ known: ListMemory.Knowledge, _ stamp: CatalogStamp
    ) -> (stretch: PageStretch, before: PagePosition.Rank?) {
        switch request.start {
        case .number(let number):
            // No overflow: both come from int32.
            let first = (number - 1) * request.size
            let stretch = PageStretch(
                first: first, size: request.size, total: total, isDescending: request.list.order.isDescending, known: known.ranks)
            return (stretch, .init(count: first, stamp: stamp))
        case .after(let position):
            return (PageStretch(after: position.key, count: request.size), position.rank)
        }
    }
}
