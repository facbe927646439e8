import ProtoShop
import Testing

@testable import Shop

@Suite("Minor amounts")
struct MinorAmountTests {
    @Test(
        "read what google.type.Money says",
        arguments: [(0, 990_000_000, 99), (1, 0, 100), (12, 50_000_000, 1205), (92_233_720_368_547_757, 0, 9_223_372_036_854_775_700)]
            as [(Int64, Int32, Int64)])
    func reads(units: Int64, nanos: Int32, minor: Int64) throws {
        var violations = Violations()
        let money = Catalog.Money(currencyCode: "USD", units: units, nanos: nanos)
        let amount = try #require(MinorAmount(money, field: "price", &violations))
        #expect(amount.minor == minor)
        #expect(amount.money == money)
    }

    @Test(
        "refuse what the shop does not keep, and name the field",
        arguments: [
            ("usd", 1, 0, "price.currency_code"), ("", 1, 0, "price.currency_code"), ("EURO", 1, 0, "price.currency_code"),
            ("USD", -1, 0, "price"), ("USD", 0, -10_000_000, "price"), ("USD", 0, 5_000_000, "price.nanos"),
            ("USD", 0, 1_000_000_000, "price.nanos"), ("USD", .max, 0, "price.units"),
            ("USD", .max / 100, 990_000_000, "price.units"),
        ] as [(String, Int64, Int32, String)])
    func refuses(currency: String, units: Int64, nanos: Int32, field: String) {
        var violations = Violations()
        let money = Catalog.Money(currencyCode: currency, units: units, nanos: nanos)
        #expect(MinorAmount(money, field: "price", &violations) == nil)
        #expect(violations.list.map(\.field) == [field])
    }

    @Test("a missing amount is a violation")
    func missing() {
        var violations = Violations()
        #expect(MinorAmount(nil, field: "price", &violations) == nil)
        #expect(violations.list.map(\.field) == ["price"])
    }

    @Test("sums that do not fit are nil, whichever step overflows")
    func overflow() {
        let one = MinorAmount(currency: "USD", minor: 1)
        #expect(one.adding(2, times: 3)?.minor == 7)
        #expect(one.adding(2, times: .max) == nil)
        #expect(one.adding(1, times: .max) == nil)
        #expect(one.adding(1, times: .max - 1)?.minor == .max)
    }

    @Test("describe themselves as people write them")
    func describes() {
        #expect(MinorAmount(currency: "USD", minor: 232_860).description == "2328.60 USD")
        #expect(MinorAmount(currency: "EUR", minor: -5).description == "-0.05 EUR")
    }
}
