/// Where in a list the database reads: from the list's start or end or a known product, past some keys of the index, so many
/// products.
struct PageStretch: Sendable, Equatable {
    /// The sort key to begin at: the product is left out when read forwards, and is the first when read backwards. Nil: the
    /// list's start, or its end.
    var anchor: String?
    var isBackwards = false
    /// Products to pass over.
    var skip: Int64 = 0
    /// Products to read, at most.
    var count: Int64

    /// What follows a position.
    init(after key: String, count: Int64) {
        anchor = key
        self.count = count
    }

    /// To read an index from its end to its start costs so many times what the other way costs: the database keeps the beginning
    /// that a key shares with the one before it only once, and new keys in lists that are linked forwards.
    static let reverseCost: Int64 = 2

    /// The page that begins after `first` products: from wherever it costs least to get there.
    ///
    /// - Parameters:
    ///   - isDescending: the list runs against the order of its index.
    ///   - total: products of the list, where that is known. Without it, nothing can be counted from the end.
    ///   - known: products whose ranks are known.
    init(first: Int64, size: Int64, total: Int64?, isDescending: Bool = false, known: RankedKeys = RankedKeys()) {
        // A page that reads forwards asks for all it may hold, as there may be more products by now. One that reads backwards
        // must not reach into the page before.
        (skip, count) = (first, size)
        if let before = known.last(upTo: first) { (anchor, skip) = (before.key, first - before.rank) }
        guard let total else { return }
        let end = min(total, first + size)
        guard first < end else {
            (skip, count) = (0, 0)
            return
        }
        let after = known.first(from: end)
        let back = (after?.rank ?? total) - end
        if back * (isDescending ? 1 : Self.reverseCost) < skip * (isDescending ? Self.reverseCost : 1) {
            (anchor, isBackwards, skip, count) = (after?.key, true, back, end - first)
        }
    }

    /// Where it has more than `limit` keys to pass over: the first part of the way, to be gone before. Its one product is the anchor of
    /// what is then left of this stretch.
    func firstStep(over limit: Int64) -> PageStretch? {
        guard skip > limit else { return nil }
        var step = self
        // A product that is an anchor is passed over already when read forwards, and not when read backwards.
        step.skip = isBackwards ? stepLength : stepLength - 1
        step.count = 1
        return step
    }

    private var stepLength: Int64 { min(skip, Limits.maxSkip) }

    /// What is left after the first step led to `key`.
    func afterStep(to key: String) -> PageStretch {
        var rest = self
        rest.anchor = key
        rest.skip -= stepLength
        return rest
    }

    /// The rank of its anchor, when the page that it leads to begins after `first` products.
    func rankOfAnchor(after first: Int64) -> Int64 { isBackwards ? first + count + skip : first - skip }

    /// Whether it lies at the list's end, wherever that is by now.
    var isAtEnd: Bool { isBackwards && anchor == nil && skip == 0 }
}

/// Pages of a size.
enum PageCount {
    /// Pages of `size` that `total` products make.
    static func of(_ total: Int64, size: Int64) -> Int64 { (total + size - 1) / size }
}
