import ProtoShop
import RPC
import Testing

@testable import Shop

@Suite("Order ids")
struct OrderIDTests {
    @Test("follow from identity and key, as anybody can compute them")
    func knownAnswer() {
        // Python: base64.b32encode(hashlib.sha256(b"customer-1\x1fchinook-invoice-1").digest()[:16]).rstrip(b"=")
        #expect(OrderID.make(identity: "customer-1", key: "chinook-invoice-1") == "MTZK4BATII3Q4G75AEXY6EMZZA")
        #expect(OrderID.isValid("MTZK4BATII3Q4G75AEXY6EMZZA"))
    }

    @Test("differ where identity or key differ, and where the same text is split otherwise")
    func distinct() {
        let ids = [("a", "bc"), ("ab", "c"), ("a", "b"), ("b", "a")].map { OrderID.make(identity: $0.0, key: $0.1) }
        #expect(Set(ids).count == ids.count)
    }

    @Test("base32 is that of RFC 4648", arguments: [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB")])
    func base32(text: String, encoded: String) {
        #expect(Base32.encode(text.utf8) == encoded)
    }

    @Test("what is no id is told from one", arguments: ["", "abc", "aaaaaaaaaaaaaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAAAAAAAAAAAA1", "AAAAAAAAAAAAAAAAAAAAAAAAAAA"])
    func invalid(id: String) {
        #expect(!OrderID.isValid(id))
    }
}

@Suite("Order forms")
struct OrderFormTests {
    private func request(
        _ lines: [(String, Int32)], key: String = "k", expected: Catalog.Money? = nil
    ) -> Orders.SubmitOrderRequest {
        Orders.SubmitOrderRequest(
            idempotencyKey: key, lines: lines.map { Orders.OrderLine(productId: $0.0, quantity: $0.1) }, expectedTotal: expected)
    }

    private func violations(_ request: Orders.SubmitOrderRequest) -> [String] {
        do throws(RPCError) {
            _ = try OrderForm(request)
            return []
        } catch {
            #expect(error.code == .invalidArgument)
            #expect(error.reason == "INVALID_FIELD")
            return error.fieldViolations.map(\.field)
        }
    }

    @Test("lines of one product are added up, and sorted by the bytes of the id")
    func merges() throws {
        let form = try OrderForm(request([("b", 1), ("a", 2), ("B", 3), ("b", 4)]))
        #expect(form.lines.map(\.productID) == ["B", "a", "b"])
        #expect(form.lines.map(\.quantity) == [3, 2, 5])
    }

    @Test("the fingerprint is that of the content: line order and splitting do not matter, all else does")
    func fingerprint() throws {
        let dollar = Catalog.Money(currencyCode: "USD", units: 1)
        let first = try OrderForm(request([("a", 2), ("b", 1)]))
        #expect(try OrderForm(request([("b", 1), ("a", 1), ("a", 1)], key: "other")).fingerprint == first.fingerprint)
        #expect(try OrderForm(request([("a", 2), ("b", 2)])).fingerprint != first.fingerprint)
        #expect(try OrderForm(request([("a", 2)])).fingerprint != first.fingerprint)
        #expect(try OrderForm(request([("a", 2), ("b", 1)], expected: dollar)).fingerprint != first.fingerprint)
    }

    @Test(
        "each broken limit is named",
        arguments: [
            ([], "k", ["lines"]),
            (Array(repeating: ("a", 1), count: 101), "k", ["lines"]),
            ([("a", 0)], "k", ["lines[0].quantity"]),
            ([("a", -1)], "k", ["lines[0].quantity"]),
            ([("a", 10_001)], "k", ["lines[0].quantity"]),
            ([("a", 9_999), ("b", 1), ("a", 2)], "k", ["lines[2].quantity"]),
            ([("a", .max), ("a", .max)], "k", ["lines[0].quantity"]),
            ([("", 1)], "k", ["lines[0].product_id"]),
            ([("a b", 1)], "k", ["lines[0].product_id"]),
            ([("a\u{0}", 1)], "k", ["lines[0].product_id"]),
            ([("é", 1)], "k", ["lines[0].product_id"]),
            ([(String(repeating: "x", count: 65), 1)], "k", ["lines[0].product_id"]),
            ([("a", 1)], "", ["idempotency_key"]),
            ([("a", 1)], String(repeating: "x", count: 65), ["idempotency_key"]),
            ([("a", 1)], "line\nfeed", ["idempotency_key"]),
        ] as [([(String, Int32)], String, [String])])
    func refuses(lines: [(String, Int32)], key: String, fields: [String]) {
        #expect(violations(request(lines, key: key)) == fields)
    }

    @Test("limits themselves are within them")
    func limits() {
        let longest = String(repeating: "x", count: 64)
        #expect(violations(request([(longest, 10_000)], key: longest)) == [])
        #expect(violations(request((0..<100).map { ("p\($0)", 1) })) == [])
    }

    @Test("everything that is wrong is reported at once")
    func allAtOnce() {
        let money = Catalog.Money(currencyCode: "x", units: -1, nanos: 1)
        let fields = violations(request([("", 0), ("ok", 1), ("a b", 20_000)], key: "", expected: money))
        #expect(
            fields == [
                "idempotency_key", "lines[0].product_id", "lines[0].quantity", "lines[2].product_id", "lines[2].quantity",
                "expected_total.currency_code", "expected_total", "expected_total.nanos",
            ])
    }
}
