/// The sort keys of a product, made here and nowhere else.
///
/// Each is the sorted value, a separator and the id. Compared byte by byte that is a total order, because ids are unique: no two
/// products tie, a position in a list is one string, and going on after it is one comparison. No collation is involved: under
/// one, ids that differ only in case would tie, and a page boundary between them would lose products.
enum ProductKeys {
    /// By the folded name. The separator sorts before whatever a folded name can hold, so that "Go" comes before "Go West".
    static func nameKey(name: String, id: String) -> String {
        NameFolding.fold(name) + separator + id
    }

    /// By currency, then amount, as prices in different currencies cannot be compared.
    static func priceKey(_ price: MinorAmount, id: String) -> String {
        priceText(price) + separator + id
    }

    /// Categories are told apart and searched by this.
    static func categoryKey(_ category: String) -> String {
        NameFolding.fold(category)
    }

    /// Folding turns control characters into spaces, so no folded name holds it.
    fileprivate static let separator = "\u{1}"
    /// Sorts right after all keys with the separator in its place.
    fileprivate static let afterSeparator = "\u{2}"
    /// Digits of the largest int64.
    private static let amountDigits = 19

    fileprivate static func priceText(_ price: MinorAmount) -> String {
        let digits = String(max(0, price.minor))
        return price.currency + String(repeating: "0", count: amountDigits - digits.utf8.count) + digits
    }
}

extension KeyRange {
    /// The name keys of the names that begin with `prefix`, when both are folded.
    init(namePrefix prefix: String) {
        let folded = NameFolding.fold(prefix)
        self.init(lower: folded.isEmpty ? nil : folded, upper: folded.afterAllItBegins)
    }

    /// The price keys of one currency between two amounts, both included.
    init(currency: String, from low: Int64?, through high: Int64?) {
        lower = low.map { ProductKeys.priceText(MinorAmount(currency: currency, minor: $0)) } ?? currency
        // A colon is the character after the digits.
        upper = high.map { ProductKeys.priceText(MinorAmount(currency: currency, minor: $0)) + ProductKeys.afterSeparator } ?? currency + ":"
    }
}

extension String {
    /// The least string that is greater than all strings that begin with this one; nil where there is none.
    ///
    /// UTF-8 sorts bytes as it sorts scalars, so that is the string with its last scalar raised by one.
    fileprivate var afterAllItBegins: String? {
        var scalars = unicodeScalars
        while let last = scalars.popLast() {
            guard last.value < 0x10FFFF else { continue }
            // What follows the last scalar before the surrogates, which are no scalars.
            let next = Unicode.Scalar(last.value + 1) ?? "\u{E000}"
            scalars.append(next)
            return String(scalars)
        }
        return nil
    }
}
