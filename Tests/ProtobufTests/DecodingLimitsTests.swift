import ProtoEcho
import ProtoShop
import Protobuf
import Testing

/// Each limit holds exactly: the most that is allowed decodes, one more is refused.
struct DecodingLimitsTests {
    @Test func bytes() throws {
        let bytes = try Echo.EchoRequest(payload: [1, 2, 3]).serializedBytes()
        #expect(try Echo.EchoRequest(serializedBytes: bytes, limits: .init(maxBytes: 5)).payload == [1, 2, 3])
        #expect(throws: DecodingError(reason: "5 bytes, more than 4")) {
            try Echo.EchoRequest(serializedBytes: bytes, limits: .init(maxBytes: 4))
        }
    }

    @Test func stringBytes() throws {
        let limits = DecodingLimits(maxStringBytes: 4)
        #expect(try Catalog.GetProductRequest(serializedBytes: WireBytes.text(1, "abcd"), limits: limits).id == "abcd")
        #expect(throws: DecodingError(field: "id", reason: "5 bytes, more than 4")) {
            try Catalog.GetProductRequest(serializedBytes: WireBytes.text(1, "abcde"), limits: limits)
        }
        #expect(throws: DecodingError(field: "payload", reason: "5 bytes, more than 4")) {
            try Echo.EchoRequest(serializedBytes: WireBytes.text(1, "abcde"), limits: limits)
        }
    }

    @Test func depth() throws {
        let nested = try Everything.Nest1(nest2: .init(nest3: [.init(), .init(leaf: .init(text: "x"))])).serializedBytes()
        #expect(try Everything.Nest1(serializedBytes: nested, limits: .init(maxDepth: 4)).nest2?.nest3.count == 2)
        #expect(throws: DecodingError(field: "nest2.nest3[1].leaf", reason: "nested deeper than 3")) {
            try Everything.Nest1(serializedBytes: nested, limits: .init(maxDepth: 3))
        }
    }

    @Test func fieldsAndElementsAtEveryDepth() throws {
        // 2 lines, 2 fields each, make 6.
        let lines = WireBytes.bytes(2, WireBytes.text(1, "a") + WireBytes.number(2, 1))
        #expect(try Orders.SubmitOrderRequest(serializedBytes: lines + lines, limits: .init(maxElements: 6)).lines.count == 2)
        #expect(throws: DecodingError(field: "lines[1]", reason: "more than 5 fields and elements")) {
            try Orders.SubmitOrderRequest(serializedBytes: lines + lines, limits: .init(maxElements: 5))
        }
    }

    @Test func packedElementsCount() throws {
        let packed = try Orders.AckCompletionsRequest(sequences: [1, 2, 3]).serializedBytes()
        #expect(try Orders.AckCompletionsRequest(serializedBytes: packed, limits: .init(maxElements: 4)).sequences == [1, 2, 3])
        #expect(throws: DecodingError(field: "sequences[0]", reason: "more than 3 fields and elements")) {
            try Orders.AckCompletionsRequest(serializedBytes: packed, limits: .init(maxElements: 3))
        }
    }

    @Test func unknownFieldsCount() {
        let unknown = Array(repeating: WireBytes.number(99, 1), count: 11).flatMap { $0 }
        #expect(throws: DecodingError(reason: "more than 10 fields and elements")) {
            try Echo.EchoRequest(serializedBytes: unknown, limits: .init(maxElements: 10))
        }
    }

    @Test func sixtyFiveThousandEmptyElements() {
        let many = Array(repeating: WireBytes.bytes(2, []), count: 65_000).flatMap { $0 }
        let error = #expect(throws: DecodingError.self) { try Orders.SubmitOrderRequest(serializedBytes: many) }
        #expect(error?.reason == "more than 50000 fields and elements")
    }

    @Test func theMostThatOurMethodsAllow() throws {
        let product = Catalog.Product(
            id: "p", name: "n", category: "c", price: .init(currencyCode: "USD", units: 1, nanos: 10_000_000), stock: 1,
            description: String(repeating: "d", count: 1000), updateTime: .init(seconds: 1, nanos: 1))
        let page = Catalog.ListProductsResponse(products: Array(repeating: product, count: 1000))
        #expect(try Catalog.ListProductsResponse(serializedBytes: page.serializedBytes()) == page)
        let ack = Orders.AckCompletionsRequest(sequences: Array(1...10_000))
        #expect(try Orders.AckCompletionsRequest(serializedBytes: ack.serializedBytes()) == ack)
    }
}
