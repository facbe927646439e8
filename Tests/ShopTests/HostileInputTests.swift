import ProtoEcho
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

@testable import Shop

/// Awkward text and numbers through the real services: each is refused by the name of its field or taken as plain data, and
/// what was there before is there afterwards.
@Suite("Hostile input", .serialized)
struct HostileInputTests {
    /// Text that means something elsewhere: to a database, a shell, a file system, a log or a pattern.
    static let texts = [
        "$where", "{\"$gt\":\"\"}", "{$ne: null}", ".*", "(a+)+$", "../../etc/passwd", "%00", "'; drop table products; --", "\u{202E}gnp",
        "x\n{\"log.level\":\"error\",\"message\":\"forged\"}", "\r\n", "\u{1B}[2J", "\u{FEFF}", "a\u{0301}", "\u{10FFFF}", "🎸", "-1", "null",
    ]

    /// A shop with one product that everybody can see is unharmed.
    private func inShop(_ body: (Catalog.CatalogService.Client, Orders.OrderService.Client, RunningShop) async throws -> Void) async throws {
        let shop = try RunningShop()
        defer { shop.stop() }
        try await shop.withClient { catalog, orders in
            _ = try await catalog.importProducts(.init(products: [.sample("normal", category: "Rock", stock: 1000)]))
            try await body(catalog, orders, shop)
            // A normal call of each kind works.
            #expect(try await catalog.listProducts(.init(category: "rock")).products.map(\.id).contains("normal"))
            let order = try await orders.submitOrder(.sample("normal", [("normal", 1)]))
            #expect(try await orders.settled(order.order?.id ?? "").state == .fulfilled)
            #expect(try await catalog.getProduct(.init(id: "normal")).product?.stock == 999)
            #expect(try shop.count(CollectionName.orders) == 1)
        }
    }

    private func violations<Result>(_ body: () async throws(RPCError) -> Result) async -> [String]? {
        let error = await failure(of: body)
        if let error { #expect(error.code == .invalidArgument, "\(error)") }
        return error?.fieldViolations.map(\.field)
    }

    @Test("ids and keys are printable ASCII: everything else is refused by its name, and nothing is found by it")
    func ids() async throws {
        try await inShop { catalog, orders, _ in
            let tooLong = String(repeating: "x", count: 65)
            for text in Self.texts + ["", " ", tooLong] {
                let isID = (1...64).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
                let read = await failure { () throws(RPCError) in try await catalog.getProduct(.init(id: text)) }
                #expect(read?.reason == (isID ? "PRODUCT_NOT_FOUND" : "INVALID_FIELD"), "\(text.debugDescription)")
                let order = await failure { () throws(RPCError) in try await orders.getOrder(.init(id: text)) }
                #expect(order?.code == .notFound || order?.code == .invalidArgument, "\(text.debugDescription)")
                guard !isID else { continue }
                #expect(await violations { () throws(RPCError) in try await orders.submitOrder(.sample(text, [("normal", 1)])) } == ["idempotency_key"])
                #expect(await violations { () throws(RPCError) in try await orders.submitOrder(.sample("k", [(text, Int32(1))])) } == ["lines[0].product_id"])
                let response = try await catalog.importProducts(.init(products: [.sample(text, name: "n")]))
                #expect(response.failures.map(\.field) == ["id"] && response.insertedCount == 0, "\(text.debugDescription)")
            }
        }
    }

    @Test("names, categories and descriptions are any text: it is stored, found and given back as it is")
    func texts() async throws {
        try await inShop { catalog, _, _ in
            for (index, text) in Self.texts.enumerated() {
                var product = Catalog.Product.sample("p\(index)", name: text, category: "c\(index) \(text)")
                product.description = text
                let response = try await catalog.importProducts(.init(products: [product]))
                try #require(response.failures.isEmpty, "\(text.debugDescription): \(response.failures)")
                let stored = try await catalog.getProduct(.init(id: "p\(index)")).product
                #expect(stored?.name == text && stored?.category == "c\(index) \(text)" && stored?.description == text)
                // As a filter it finds itself only; what folds away finds at least itself.
                let found = try await catalog.listProducts(.init(category: "c\(index) \(text)", pageSize: 1000))
                #expect(found.products.map(\.id) == ["p\(index)"], "\(text.debugDescription)")
                let begun = try await catalog.listProducts(.init(category: "c\(index) ", pageSize: 1000, namePrefix: text))
                #expect(begun.products.map(\.id) == ["p\(index)"], "\(text.debugDescription)")
            }
        }
    }

    @Test("the longest text is taken, and one byte more is refused by its name")
    func lengths() async throws {
        try await inShop { catalog, _, _ in
            func text(_ count: Int) -> String { String(repeating: "y", count: count) }
            for over in [0, 1] {
                var product = Catalog.Product.sample(text(64 + over), name: text(512 + over), category: text(128 + over))
                product.description = text(4096 + over)
                let response = try await catalog.importProducts(.init(products: [product]))
                #expect(response.failures.map(\.field).sorted() == (over == 0 ? [] : ["category", "description", "id", "name"]))
                let listed = await violations { () throws(RPCError) in try await catalog.listProducts(.init(category: text(128 + over))) }
                #expect(listed == (over == 0 ? nil : ["category"]))
            }
        }
    }

    static let noTexts: [[UInt8]] = [
        [0], [0x6B, 0, 0x78], [0xC0, 0x80], [0xC0, 0xAF], [0xE0, 0x80, 0xAF], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xC3],
        [0xF0, 0x9F, 0x8E], [0xFF],
    ]

    @Test("bytes that are no text never reach a service")
    func bytes() async throws {
        // No Swift string holds them. A message of bytes has the same form on the wire as one whose first field is text.
        let method = MethodDescriptor<Echo.EchoRequest, Orders.SubmitOrderResponse>(Orders.OrderService.submitOrder.fullName, idempotency: .idempotent)
        try await inShop { _, _, shop in
            let channel = try shop.channel("tester")
            defer { channel.close() }
            func submit(_ key: [UInt8]) async -> RPCError? {
                await failure { () throws(RPCError) in try await channel.call(method, Echo.EchoRequest(payload: key), options: CallOptions()) }
            }
            for bytes in Self.noTexts {
                let error = await submit(bytes)
                #expect(error?.reason == "MALFORMED_REQUEST" && error?.disposition == .notExecuted, "\(bytes): \(String(describing: error))")
                #expect(error?.fieldViolations.map(\.field) == ["idempotency_key"])
            }
            // The same with text comes as far as the service.
            #expect(await submit(Array("text".utf8))?.fieldViolations.map(\.field) == ["lines"])
        }
    }

    @Test("page numbers and sizes: what makes no sense is refused, what is beyond the end is empty")
    func pages() async throws {
        try await inShop { catalog, _, _ in
            for (size, page, refused) in [
                (-1, 0, ["page_size"]), (.min, 0, ["page_size"]), (0, -1, ["page"]), (0, .min, ["page"]), (-1, -1, ["page_size", "page"]),
            ] as [(Int32, Int32, [String])] {
                #expect(await violations { () throws(RPCError) in try await catalog.listProducts(.init(pageSize: size, page: page)) } == refused)
            }
            for (size, page, count) in [(0, 1, 1), (.max, 1, 1), (1, 1, 1), (1, 2, 0), (.max, .max, 0), (1000, .max, 0)] as [(Int32, Int32, Int)] {
                let listed = try await catalog.listProducts(.init(pageSize: size, page: page))
                #expect(listed.products.count == count && listed.totalSize == 1 && listed.nextPageToken.isEmpty, "\(size), \(page)")
            }
            for token in Self.texts + [String(repeating: "A", count: 10_000)] {
                let error = await failure { () throws(RPCError) in try await catalog.listProducts(.init(pageToken: token)) }
                #expect(error?.code == .invalidArgument && error?.reason == "PAGE_TOKEN_INVALID", "\(token.prefix(20).debugDescription)")
            }
            for order in Self.texts + ["name; drop", "price desc desc", "NAME", "stock"] {
                #expect(await violations { () throws(RPCError) in try await catalog.listProducts(.init(orderBy: order)) } == ["order_by"])
            }
        }
    }

    @Test("currencies of a range of prices are refused by their fields, and so are ways to count that nobody knows")
    func ranges() async throws {
        try await inShop { catalog, _, _ in
            for currency in Self.texts + ["", "usd", "US", "USDX", "US:", "U\u{301}SD"] {
                let price = Catalog.Money(currencyCode: currency, units: 1)
                let refused = await violations { () throws(RPCError) in
                    try await catalog.listProducts(.init(orderBy: "price", minPrice: price, maxPrice: price))
                }
                #expect(refused == ["min_price.currency_code", "max_price.currency_code"], "\(currency.debugDescription)")
            }
            for mode: Int32 in [-1, 3, 999, .max] {
                let request = Catalog.ListProductsRequest(totalMode: .init(rawValue: mode))
                let error = await failure { () throws(RPCError) in try await catalog.listProducts(request) }
                #expect(error?.code == .invalidArgument && error?.fieldViolations.map(\.field) == ["total_mode"])
            }
        }
    }

    @Test("quantities, prices and sums stay within their bounds")
    func amounts() async throws {
        try await inShop { catalog, orders, shop in
            for quantity: Int32 in [0, -1, 10_001, .max, .min] {
                let refused = await violations { () throws(RPCError) in try await orders.submitOrder(.sample("k", [("normal", quantity)])) }
                #expect(refused == ["lines[0].quantity"], "\(quantity)")
            }
            let twice = await violations { () throws(RPCError) in try await orders.submitOrder(.sample("k", [("normal", 10_000), ("normal", 1)])) }
            #expect(twice == ["lines[1].quantity"])
            for (stock, price) in [
                (-1, Catalog.Money(currencyCode: "USD", units: 1)), (.min, .init(currencyCode: "USD", units: 1)), (.max, .init(currencyCode: "USD", units: 1)),
                (1, .init(currencyCode: "USD", units: .max, nanos: 990_000_000)), (1, .init(currencyCode: "USD", units: .min)),
                (1, .init(currencyCode: "USD", units: 1, nanos: 1_000_000_000)), (1, .init(currencyCode: "USD", nanos: 1)),
                (1, .init(currencyCode: "$ne", units: 1)), (1, .init(currencyCode: "US\n", units: 1)),
            ] as [(Int64, Catalog.Money)] {
                var product = Catalog.Product.sample("bad", stock: stock)
                product.price = price
                let response = try await catalog.importProducts(.init(products: [product]))
                #expect(response.insertedCount == 0 && !response.failures.isEmpty, "\(product)")
            }
            #expect(try shop.count(CollectionName.products) == 1)
        }
    }

    @Test("an enum's number that nobody knows is refused by its name")
    func enums() async throws {
        try await inShop { _, orders, _ in
            for number: Int32 in [999, -1, .max, .min] {
                let refused = await violations { () throws(RPCError) in
                    try await orders.subscribe(.init(group: "g", filter: .unrecognized(number)))
                }
                #expect(refused == ["filter"], "\(number)")
            }
        }
    }
}
