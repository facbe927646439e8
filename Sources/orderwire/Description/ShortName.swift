/// Names as people type them: the end of a full one is enough where only one ends so.
enum ShortName {
    /// Most names that a message lists.
    private static let mostNamesTold = 8

    /// What `name` stands for: "ListProducts", "CatalogService/ListProducts" or the full name, with a dot for the slash, too.
    static func find<Value>(
        _ name: String, among candidates: [(fullName: String, value: Value)], kind: String,
        hint: String = "orderwire list shows what there is"
    ) throws(UsageError) -> Value {
        let wanted = dotted(name)
        if let exact = candidates.first(where: { dotted($0.fullName) == wanted }) { return exact.value }
        let found = candidates.filter { dotted($0.fullName).hasSuffix("." + wanted) }
        if let only = found.first, found.count == 1 { return only.value }
        if found.count > 1 { throw UsageError("'\(name)' may be \(list(found.map(\.fullName)))") }
        let last = wanted.split(separator: ".").last?.lowercased() ?? ""
        let similar = candidates.map(\.fullName).filter { !last.isEmpty && $0.lowercased().contains(last) }
        let hint = similar.isEmpty ? hint : "there is \(list(similar))"
        throw UsageError("no \(kind) is called '\(name)'; \(hint)")
    }

    private static func dotted(_ name: String) -> String {
        String(name.map { $0 == "/" ? "." : $0 })
    }

    private static func list(_ names: [String]) -> String {
        let shown = names.sorted().prefix(mostNamesTold)
        return shown.joined(separator: ", ") + (names.count > shown.count ? ", ..." : "")
    }
}
