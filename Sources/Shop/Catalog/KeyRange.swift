/// A stretch of sort keys, which are compared by their bytes.
struct KeyRange: Hashable, Sendable {
    /// The first key that is in it; nil: from the very first.
    var lower: String?
    /// The first key that is not in it any more; nil: to the very last.
    var upper: String?

    static let all = KeyRange(lower: nil, upper: nil)
}
