import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("Page tokens")
struct PageTokensTests {
    private let tokens = TokenSeal(key: Array(repeating: 7, count: 32))

    private static let positions: [PagePosition] = [
        PagePosition(key: "über\u{1}p-1"), PagePosition(key: "a"), PagePosition(key: "USD0000000000000000099\u{1}p-1"),
        PagePosition(key: "k", rank: .init(count: 1, stamp: .none)),
        PagePosition(key: "\u{10FFFF}\u{1}x", rank: .init(count: .max, stamp: CatalogStamp(value: .max))),
    ]

    @Test("open to what was sealed, also by another server with the same key", arguments: positions, ProductOrder.allCases)
    func roundTrip(position: PagePosition, order: ProductOrder) throws {
        let list = ProductList(category: "rock", order: order)
        let token = tokens.seal(position, in: list)
        #expect(try TokenSeal(key: Array(repeating: 7, count: 32)).position(token, in: list) == position)
    }

    private func reason(_ token: String, _ list: ProductList = ProductList(category: "rock")) -> String? {
        do throws(RPCError) {
            _ = try tokens.position(token, in: list)
            return nil
        } catch {
            #expect(error.code == .invalidArgument)
            return error.reason
        }
    }

    @Test("are good for one list and key only: every part of the filter and the order count")
    func bound() throws {
        let usd = { (low: Int64?, high: Int64?) in KeyRange(currency: "USD", from: low, through: high) }
        let lists = [
            ProductList(), ProductList(category: "rock"), ProductList(category: "metal"), ProductList(category: "roc"),
            ProductList(order: .nameDescending), ProductList(order: .price), ProductList(order: .priceDescending),
            ProductList(inStockOnly: true), ProductList(category: "rock", inStockOnly: true),
            ProductList(range: KeyRange(namePrefix: "t")), ProductList(range: KeyRange(namePrefix: "te")),
            ProductList(category: "t", range: KeyRange(namePrefix: "t")), ProductList(category: "t"),
            ProductList(range: usd(1, nil), order: .price), ProductList(range: usd(nil, 1), order: .price),
            ProductList(range: usd(1, 1), order: .price), ProductList(range: usd(1, 2), order: .price), ProductList(range: usd(nil, nil), order: .price),
        ]
        for (index, list) in lists.enumerated() {
            let token = tokens.seal(PagePosition(key: "a\u{1}p"), in: list)
            for (other, opened) in lists.enumerated() {
                #expect(reason(token, opened) == (index == other ? nil : "PAGE_TOKEN_INVALID"), "\(list) as \(opened)")
            }
            let foreign = TokenSeal(key: Array(repeating: 8, count: 32)).seal(PagePosition(key: "a\u{1}p"), in: list)
            #expect(reason(foreign, list) == "PAGE_TOKEN_INVALID")
        }
    }

    @Test("no cut, lengthened or changed token opens", arguments: [nil, PagePosition.Rank(count: 3, stamp: CatalogStamp(value: 4))])
    func tampering(rank: PagePosition.Rank?) {
        let list = ProductList(category: "rock")
        let token = tokens.seal(PagePosition(key: "some name\u{1}product-1", rank: rank), in: list)
        let characters = Array(token)
        for index in characters.indices {
            #expect(reason(String(characters[..<index])) == "PAGE_TOKEN_INVALID")
            var changed = characters
            changed[index] = changed[index] == "A" ? "B" : "A"
            #expect(reason(String(changed)) == "PAGE_TOKEN_INVALID", "character \(index)")
        }
        for more in ["A", "=", "AAAA", "\n", "é"] { #expect(reason(token + more) == "PAGE_TOKEN_INVALID") }
        for junk in ["x", "....", "../..", "%00", String(repeating: "A", count: 100_000)] {
            #expect(reason(junk) == "PAGE_TOKEN_INVALID")
        }
    }

    @Test("codes are those of HMAC with SHA-256: the examples of RFC 4231", arguments: [
        (Array(repeating: 0x0B, count: 20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (Array("Jefe".utf8), "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    ] as [([UInt8], String, String)])
    func code(key: [UInt8], text: String, expected: String) {
        let code = PreparedHMAC(key: key).code(of: Array(text.utf8))
        #expect(code.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() == expected)
    }

    @Test("base64url has one spelling for each value", arguments: Seeds.fresh(20))
    func base64(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
        #expect(Base64URL.decode("QUJD") == Array("ABC".utf8))
        #expect(Base64URL.decode("QQ") == [65])
        #expect(Base64URL.decode("QR") == nil)
        #expect(Base64URL.decode("Q") == nil)
    }
}

@Suite("Page requests")
struct PageRequestTests {
    private let tokens = TokenSeal(key: Array(repeating: 7, count: 32))

    private func request(_ request: Catalog.ListProductsRequest) throws -> PageRequest { try PageRequest(request, tokens: tokens) }

    private func refused(_ request: Catalog.ListProductsRequest) -> RPCError? {
        #expect(throws: RPCError.self) { try PageRequest(request, tokens: tokens) }
    }

    @Test("sizes: 0 means 10, above 1,000 is clamped", arguments: [(0, 10), (1, 1), (1000, 1000), (1001, 1000), (Int32.max, 1000)] as [(Int32, Int64)])
    func sizes(asked: Int32, got: Int64) throws {
        #expect(try request(.init(pageSize: asked)).size == got)
    }

    @Test("page 0 is page 1", arguments: [(0, 1), (1, 1), (Int32.max, Int64(Int32.max))] as [(Int32, Int64)])
    func pages(asked: Int32, got: Int64) throws {
        #expect(try request(.init(page: asked)).start == .number(got))
    }

    @Test("what is wrong is reported at once")
    func refuses() {
        let error = refused(.init(
            category: String(repeating: "x", count: 129), orderBy: "stock", pageSize: -1, page: -1, pageToken: "t",
            namePrefix: String(repeating: "x", count: 513), totalMode: .unrecognized(7)))
        #expect(error?.fieldViolations.map(\.field) == ["category", "name_prefix", "order_by", "page_size", "page", "page_token", "total_mode"])
    }

    @Test(
        "the table of orders",
        arguments: [
            ("", .name), ("name", .name), ("name asc", .name), ("name desc", .nameDescending), (" price ", .price),
            ("price  desc", .priceDescending), ("Name", nil), ("price up", nil), ("name,price", nil), ("id", nil), ("name desc desc", nil),
        ] as [(String, ProductOrder?)])
    func orders(text: String, order: ProductOrder?) {
        #expect(ProductOrder(orderBy: text) == order)
    }

    @Test("what is not in the table is refused, by its field, with the table")
    func table() throws {
        let cent = Catalog.Money(currencyCode: "USD", nanos: 10_000_000)
        for (request, fields) in [
            (.init(orderBy: "stock"), ["order_by"]), (.init(orderBy: "price", namePrefix: "t"), ["name_prefix"]), (.init(minPrice: cent), ["min_price"]),
            (.init(orderBy: "name desc", minPrice: cent, maxPrice: cent), ["max_price", "min_price"]),
        ] as [(Catalog.ListProductsRequest, [String])] {
            let error = refused(request)
            #expect(error?.fieldViolations.map(\.field) == fields)
            #expect(error?.message.contains(QueryShape.allowed) == true)
        }
        for word in ["category", "in_stock_only", "name_prefix", "min_price", "max_price", "\"name desc\"", "\"price desc\""] {
            #expect(QueryShape.allowed.contains(word))
        }
    }

    @Test("each row of the table is reached by a request, and has an index of its own")
    func shapes() throws {
        let shapes = try ["name", "name desc", "price", "price desc"].flatMap { order in
            try ["", "rock"].flatMap { category in
                try [false, true].map { try request(.init(category: category, orderBy: order, inStockOnly: $0)).list.shape }
            }
        }
        #expect(Set(shapes) == Set(QueryShape.table))
        #expect(Set(QueryShape.table.map(\.indexName)).count == QueryShape.table.count)
        #expect(Set(QueryShape.table.map { "\($0.index.keys)" }).count == QueryShape.table.count)
    }

    @Test(
        "ranges of prices that make no sense are refused by their field",
        arguments: [
            (.init(currencyCode: "USD", units: 2), .init(currencyCode: "USD", units: 1), ["max_price"]),
            (.init(currencyCode: "USD", units: 1), .init(currencyCode: "EUR", units: 2), ["max_price.currency_code"]),
            (.init(currencyCode: "USD", units: -1), nil, ["min_price"]), (nil, .init(currencyCode: "USD", nanos: -10_000_000), ["max_price"]),
            (.init(currencyCode: "usd", units: 1), nil, ["min_price.currency_code"]), (.init(), nil, ["min_price.currency_code"]),
            (nil, .init(currencyCode: "USD", units: .max), ["max_price.units"]), (nil, .init(currencyCode: "USD", nanos: 1), ["max_price.nanos"]),
            (nil, .init(currencyCode: "US:", units: 1), ["max_price.currency_code"]),
            (.init(currencyCode: "USD"), .init(currencyCode: "USD"), []), (.init(currencyCode: "USD", units: .max / 100 - 1), nil, []),
        ] as [(Catalog.Money?, Catalog.Money?, [String])])
    func prices(low: Catalog.Money?, high: Catalog.Money?, fields: [String]) throws {
        let asked = Catalog.ListProductsRequest(orderBy: "price", minPrice: low, maxPrice: high)
        if fields.isEmpty {
            _ = try request(asked)
        } else {
            #expect(refused(asked)?.fieldViolations.map(\.field) == fields)
        }
    }

    @Test("filters that fold to the same text are the same list")
    func folding() throws {
        let plain = try request(.init(category: "uber", namePrefix: "a b")).list
        let odd = try request(.init(category: "ÜBER", namePrefix: "Á\nB")).list
        #expect(odd == plain)
        let nothing = try request(.init(category: "\u{200B}")).list
        #expect(nothing == ProductList())
    }
}
