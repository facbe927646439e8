/// The last changes of the catalogue that this server has heard of, each beginning where the one before it ended.
///
/// It tells what lay between two stamps, and keeps silent where it does not know: somebody did not tell, or too much happened
/// between two looks.
struct CatalogLog: Sendable {
    private(set) var changes: [CatalogChange] = []

    /// Adds what the catalogue's document tells when it has this stamp.
    mutating func add(_ told: [CatalogChange], upTo stamp: CatalogStamp) {
        // A look that is not later than the last one tells nothing new.
        if changes.last?.stamp == stamp || changes.contains(where: { $0.stamp == stamp }) { return }
        // Whoever did not tell has left a gap, and what was told before it leads nowhere.
        guard let last = told.last, last.stamp == stamp else {
            changes.removeAll()
            return
        }
        var start = told.count - 1
        while start > 0, told[start - 1].stamp == told[start].after { start -= 1 }
        let chain = told[start...]
        if let known = changes.last, let next = chain.firstIndex(where: { $0.after == known.stamp }) {
            changes += chain[next...]
        } else {
            changes = Array(chain)
        }
        changes.removeFirst(max(0, changes.count - Limits.maxRememberedChanges))
    }

    /// What changed between two stamps, oldest first; nil where that is not known, or `end` is not later than `start`.
    func changes(from start: CatalogStamp, to end: CatalogStamp) -> ArraySlice<CatalogChange>? {
        guard let last = changes.lastIndex(where: { $0.stamp == end }) else { return nil }
        guard let first = changes[...last].lastIndex(where: { $0.after == start }) else { return nil }
        return changes[first...last]
    }
}
