import ProtoShop
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("Page tokens")
struct PageTokensTests {
    private let tokens = PageTokens(key: Array(repeating: 7, count: 32))

    private static let positions: [(PagePosition, ProductOrder)] = [
        (.name(sortKey: "über\u{1}p-1"), .name), (.name(sortKey: "a\u{1}p"), .nameDescending),
        (.price(minor: 99, id: "p-1"), .price), (.price(minor: .max, id: "x"), .priceDescending), (.price(minor: 0, id: "x"), .price),
    ]

    @Test("open to what was sealed, also by another server with the same key", arguments: positions)
    func roundTrip(position: PagePosition, order: ProductOrder) throws {
        let token = tokens.seal(position, order: order, category: "Rock")
        #expect(try PageTokens(key: Array(repeating: 7, count: 32)).open(token, order: order, category: "rock") == position)
    }

    private func reason(_ token: String, order: ProductOrder = .name, category: String = "rock") -> String? {
        do throws(RPCError) {
            _ = try tokens.open(token, order: order, category: category)
            return nil
        } catch {
            #expect(error.code == .invalidArgument)
            return error.reason
        }
    }

    @Test("are good for their filter, order and key only")
    func bound() {
        let token = tokens.seal(.name(sortKey: "a\u{1}p"), order: .name, category: "rock")
        #expect(reason(token) == nil)
        #expect(reason(token, category: "metal") == "PAGE_TOKEN_INVALID")
        #expect(reason(token, category: "") == "PAGE_TOKEN_INVALID")
        #expect(reason(token, order: .nameDescending) == "PAGE_TOKEN_INVALID")
        #expect(reason(token, order: .price) == "PAGE_TOKEN_INVALID")
        let foreign = PageTokens(key: Array(repeating: 8, count: 32)).seal(.name(sortKey: "a\u{1}p"), order: .name, category: "rock")
        #expect(reason(foreign) == "PAGE_TOKEN_INVALID")
    }

    @Test("no cut, lengthened or changed token opens")
    func tampering() {
        let token = tokens.seal(.name(sortKey: "some name\u{1}product-1"), order: .name, category: "rock")
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
    private let tokens = PageTokens(key: Array(repeating: 7, count: 32))

    @Test("sizes: 0 means 10, above 1,000 is clamped", arguments: [(0, 10), (1, 1), (1000, 1000), (1001, 1000), (Int32.max, 1000)] as [(Int32, Int64)])
    func sizes(asked: Int32, got: Int64) throws {
        #expect(try PageRequest(Catalog.ListProductsRequest(pageSize: asked), tokens: tokens).size == got)
    }

    @Test("page 0 is page 1", arguments: [(0, 1), (1, 1), (Int32.max, Int64(Int32.max))] as [(Int32, Int64)])
    func pages(asked: Int32, got: Int64) throws {
        #expect(try PageRequest(Catalog.ListProductsRequest(page: asked), tokens: tokens).start == .number(got))
    }

    @Test("what is wrong is reported at once")
    func refuses() {
        let request = Catalog.ListProductsRequest(
            category: String(repeating: "x", count: 129), orderBy: "stock", pageSize: -1, page: -1, pageToken: "t")
        let error = #expect(throws: RPCError.self) { try PageRequest(request, tokens: tokens) }
        #expect(error?.fieldViolations.map(\.field) == ["category", "order_by", "page_size", "page", "page_token"])
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
}

@Suite("Page windows")
struct PageWindowTests {
    @Test(
        "page counts",
        arguments: [(0, 10, 0), (1, 10, 1), (10, 10, 1), (11, 10, 2), (1309, 10, 131), (1309, 50, 27), (1309, 1000, 2)] as [(Int64, Int64, Int64)])
    func counts(total: Int64, size: Int64, pages: Int64) {
        #expect(PageWindow.pageCount(total: total, size: size) == pages)
    }

    @Test("every product is on exactly one page, whichever end is nearer", arguments: [0, 1, 9, 10, 11, 95, 100] as [Int64], [1, 7, 10, 200] as [Int64])
    func partition(total: Int64, size: Int64) {
        let all = Array(0..<total)
        var seen: [Int64] = []
        let pages = PageWindow.pageCount(total: total, size: size)
        for number in 1...max(pages, 1) {
            let window = PageWindow(number: number, size: size, total: total)
            let source = window.fromEnd ? all.reversed() : all
            let page = source.dropFirst(Int(window.skip)).prefix(Int(window.count))
            seen += window.fromEnd ? page.reversed() : Array(page)
            #expect(window.hasMore == (number < pages))
            #expect(window.skip <= max(0, total / 2))
        }
        #expect(seen == all)
    }

    @Test("a page beyond the last is empty")
    func beyond() {
        let window = PageWindow(number: Int64(Int32.max), size: 1000, total: 25)
        #expect(window.count == 0)
        #expect(!window.hasMore)
    }
}
