import ProtoShop

/// An amount of money in hundredths of its currency's unit. Every sum is checked for overflow.
struct MinorAmount: Hashable, Sendable, CustomStringConvertible {
    /// Three letters of ISO 4217.
    var currency: String
    var minor: Int64

    init(currency: String, minor: Int64) {
        self.currency = currency
        self.minor = minor
    }

    /// "-12.05 USD"
    var description: String {
        let magnitude = minor.magnitude
        let cents = magnitude % 100
        return "\(minor < 0 ? "-" : "")\(magnitude / 100).\(cents < 10 ? "0" : "")\(cents) \(currency)"
    }

    /// This amount and `quantity` times `price` of the same currency, or nil where the sum does not fit.
    func adding(_ quantity: Int64, times price: Int64) -> MinorAmount? {
        let (product, productOverflows) = quantity.multipliedReportingOverflow(by: price)
        let (sum, sumOverflows) = minor.addingReportingOverflow(product)
        return productOverflows || sumOverflows ? nil : MinorAmount(currency: currency, minor: sum)
    }
}

// MARK: - On the wire

extension MinorAmount {
    /// Nanos in a hundredth.
    private static let nanosPerMinor: Int32 = 10_000_000

    /// Reads `money`, or reports what is wrong with it as a violation of `field` and returns nil.
    init?(_ money: Catalog.Money?, field: String, _ violations: inout Violations) {
        guard let money else {
            violations.add(field, "required")
            return nil
        }
        let before = violations.list.count
        let code = money.currencyCode.utf8
        if code.count != 3 || !code.allSatisfy({ (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }) {
            violations.add(field + ".currency_code", "must be three capital letters, as in \"USD\"")
        }
        if money.units < 0 || money.nanos < 0 { violations.add(field, "must not be negative") }
        if money.nanos.magnitude > 999_999_999 || money.nanos % Self.nanosPerMinor != 0 {
            violations.add(field + ".nanos", "must be whole hundredths: a multiple of \(Self.nanosPerMinor) below 1,000,000,000")
        }
        let (hundredths, overflows) = money.units.multipliedReportingOverflow(by: 100)
        let (minor, carries) = hundredths.addingReportingOverflow(Int64(money.nanos / Self.nanosPerMinor))
        if overflows || carries { violations.add(field + ".units", "must be at most \(Int64.max / 100 - 1)") }
        guard violations.list.count == before, !overflows, !carries else { return nil }
        self.init(currency: money.currencyCode, minor: minor)
    }

    var money: Catalog.Money {
        Catalog.Money(currencyCode: currency, units: Self.units(minor), nanos: Self.nanos(minor))
    }

    /// `units` of so many hundredths.
    static func units(_ minor: Int64) -> Int64 { minor / 100 }

    /// `nanos` of so many hundredths.
    static func nanos(_ minor: Int64) -> Int32 { Int32(minor % 100) * nanosPerMinor }
}
