import ProtoShop

extension Catalog.Money {
    /// As in "0.99".
    var decimal: String {
        let sign = units < 0 || nanos < 0 ? "-" : ""
        var fraction = String(String(Int64(nanos.magnitude) + 1_000_000_000).dropFirst())
        while fraction.count > 2, fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(sign)\(units.magnitude).\(fraction)"
    }

    /// As in "0.99 USD".
    var text: String { "\(decimal) \(currencyCode)" }

    /// Reads "0.99 USD", "0.99USD" and "12 USD". Nil where it is none.
    init?(text: String) {
        let currency = text.suffix(3)
        guard text.count > 3, currency.allSatisfy({ $0.isASCII && $0.isLetter }) else { return nil }
        self.init(decimal: String(text.dropLast(3)).filter { $0 != " " }, currency: currency.uppercased())
    }

    /// Reads "0.99". Nil where it is none, or has more than nine digits behind the point.
    init?(decimal: String, currency: String) {
        let isNegative = decimal.hasPrefix("-")
        let parts = decimal.dropFirst(isNegative ? 1 : 0).split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let whole = parts.first, !whole.isEmpty,
            parts.allSatisfy({ $0.allSatisfy { $0.isASCII && $0.isNumber } }),
            let units = Int64(whole)
        else { return nil }
        let digits = parts.count == 2 ? String(parts[1]) : "0"
        guard (1...9).contains(digits.count),
            let nanos = Int32(digits + String(repeating: "0", count: 9 - digits.count))
        else { return nil }
        self.init(currencyCode: currency, units: isNegative ? -units : units, nanos: isNegative ? -nanos : nanos)
    }
}
