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

    /// The page that begins after `first` products: from wherever the fewest keys are to be skipped.
    ///
    /// - Parameters:
    ///   - total: products of the list, where that is known. Without it, nothing can be counted from the end.
    ///   - known: products whose ranks are known.
    init(first: Int64, size: Int64, total: Int64?, known: RankedKeys = RankedKeys()) {
        // A page that reads forwards asks for all it may hold, as there may be more products by now. One that reads backwards
        // must not reach into the page before.
        (skip, count) = (first, size)
        if let before = known.last(upTo: first) { (anchor, skip) = (before.key, first - before.rank) }
        guard let total else { return }
        let end = min(total, first + size)
        guard first < end else {
            count = 0
            return
        }
        if total - end < skip { (anchor, isBackwards, skip, count) = (nil, true, total - end, end - first) }
        if let after = known.first(from: end), after.rank - end < skip {
            (anchor, isBackwards, skip, count) = (after.key, true, after.rank - end, end - first)
        }
    }

    /// Whether it lies at the list's end, wherever that is by now.
    var isAtEnd: Bool { isBackwards && anchor == nil && skip == 0 }
}

/// Pages of a size.
enum PageCount {
    /// Pages of `size` that `total` products make.
    static func of(_ total: Int64, size: Int64) -> Int64 { (total + size - 1) / size }
}
