/// The folded keys of a product, made here and nowhere else.
enum ProductKeys {
    /// Products are sorted by this: the folded name, then the id where names are equal.
    ///
    /// Compared byte by byte it is a total order, because ids are unique, and the separator sorts before whatever a folded
    /// name can hold, so that "Go" comes before "Go West". No collation is involved: under one, ids that differ only in case
    /// would tie, and a page boundary between them would lose products.
    static func sortKey(name: String, id: String) -> String {
        NameFolding.fold(name) + separator + id
    }

    /// Categories are told apart and searched by this.
    static func categoryKey(_ category: String) -> String {
        NameFolding.fold(category)
    }

    /// Folding turns control characters into spaces, so no folded name holds it.
    private static let separator = "\u{1}"
}
