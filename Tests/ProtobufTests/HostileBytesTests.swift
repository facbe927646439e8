import ProtoEcho
import ProtoRuntime
import ProtoShop
import Protobuf
import Testing

/// Bytes that no honest encoder makes: each is refused with the path of the field, and a good message decodes afterwards.
struct HostileBytesTests {
    struct Case: CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        let field: String
        let reason: String

        var testDescription: String { name }

        init(_ name: String, _ bytes: [UInt8], _ field: String, _ reason: String) {
            (self.name, self.bytes, self.field, self.reason) = (name, bytes, field, reason)
        }
    }

    /// SubmitOrderRequest: idempotency_key = 1, lines = 2 (product_id = 1, quantity = 2), expected_total = 3, validate_only = 4.
    static let structure: [Case] = [
        Case("tag 0", [0], "", "field number 0"),
        Case("field number 0 with a length", WireBytes.bytes(0, [1]), "", "field number 0"),
        Case("wire type 3", WireBytes.tag(1, 3), "", "field number 1 has wire type 3"),
        Case("wire type 4", WireBytes.tag(1, 4), "", "field number 1 has wire type 4"),
        Case("wire type 6", WireBytes.tag(1, 6), "", "field number 1 has wire type 6"),
        Case("wire type 7", WireBytes.tag(9, 7), "", "field number 9 has wire type 7"),
        Case("a tag without an end", [0x80], "", "ends inside a value"),
        Case("a tag of 6 bytes", [0x88, 0x80, 0x80, 0x80, 0x80, 0x01], "", "a varint of more than 5 bytes"),
        Case("a tag of 35 bits", [0x88, 0x80, 0x80, 0x80, 0x7F, 0x01], "", "a tag of more than 32 bits"),
        Case("an 11-byte varint", WireBytes.tag(4, 0) + Array(repeating: 0x80, count: 10) + [1], "validate_only",
            "a varint of more than 10 bytes"),
        Case("a varint of 70 bits", WireBytes.tag(4, 0) + Array(repeating: 0xFF, count: 9) + [0x7F], "validate_only",
            "a varint of more than 64 bits"),
        Case("an 11-byte varint in an unknown field", WireBytes.tag(99, 0) + Array(repeating: 0x80, count: 10) + [1], "",
            "a varint of more than 10 bytes"),
        Case("a length of 2^31", WireBytes.tag(1, 2) + WireBytes.varint(1 << 31), "idempotency_key",
            "a length of 2147483648 where 0 bytes are left"),
        Case("a length of 2^63", WireBytes.tag(1, 2) + WireBytes.varint(1 << 63), "idempotency_key",
            "a varint of more than 5 bytes"),
        Case("a length one too long", WireBytes.tag(1, 2) + [3, 0x61, 0x62], "idempotency_key",
            "a length of 3 where 2 bytes are left"),
        Case("a submessage beyond its parent", WireBytes.tag(2, 2) + [3] + WireBytes.tag(1, 2) + [5, 0x61], "lines[0].product_id",
            "a length of 5 where 1 bytes are left"),
        Case("an unknown field's length", WireBytes.tag(99, 2) + [9], "", "a length of 9 where 0 bytes are left"),
        Case("fixed64 cut", WireBytes.tag(99, 1) + [1, 2, 3], "", "ends inside a value"),
        Case("a number where a string belongs", WireBytes.number(1, 5), "idempotency_key",
            "wire type 0 where 2 is expected"),
        Case("a string where a bool belongs", WireBytes.text(4, "x"), "validate_only", "wire type 2 where 0 is expected"),
        Case("a fixed32 where a submessage belongs", WireBytes.tag(2, 5) + [0, 0, 0, 0], "lines[0]",
            "wire type 5 where 2 is expected"),
        Case("a wrong wire type in the third line",
            WireBytes.bytes(2, []) + WireBytes.bytes(2, []) + WireBytes.bytes(2, WireBytes.tag(2, 1) + [0, 0, 0, 0, 0, 0, 0, 0]),
            "lines[2].quantity", "wire type 1 where 0 is expected"),
        Case("a repeated singular submessage", WireBytes.bytes(3, []) + WireBytes.bytes(3, []), "expected_total", "occurs twice"),
        Case("a repeated singular submessage inside a line",
            WireBytes.bytes(2, WireBytes.bytes(3, []) + WireBytes.bytes(3, [])), "lines[0].unit_price", "occurs twice"),
    ]

    @Test(arguments: structure)
    func structureIsChecked(_ bad: Case) throws {
        #expect(throws: DecodingError(field: bad.field, reason: bad.reason)) {
            try Orders.SubmitOrderRequest(serializedBytes: bad.bytes)
        }
        #expect(try Orders.SubmitOrderRequest(serializedBytes: WireBytes.text(1, "k")).idempotencyKey == "k")
    }

    static let badText: [Case] = [
        Case("NUL alone", [0], "", "contains U+0000"),
        Case("NUL inside", [0x6B, 0, 0x78], "", "contains U+0000"),
        Case("NUL after eight bytes", Array("12345678".utf8) + [0], "", "contains U+0000"),
        Case("NUL among eight bytes", Array("1234567".utf8) + [0] + Array("12345678".utf8), "", "contains U+0000"),
        Case("NUL after a letter beyond ASCII", Array("é".utf8) + [0], "", "contains U+0000"),
        Case("overlong NUL", [0xC0, 0x80], "", "is not valid UTF-8"),
        Case("overlong slash in 2", [0xC0, 0xAF], "", "is not valid UTF-8"),
        Case("overlong slash in 3", [0xE0, 0x80, 0xAF], "", "is not valid UTF-8"),
        Case("overlong slash in 4", [0xF0, 0x80, 0x80, 0xAF], "", "is not valid UTF-8"),
        Case("lone high surrogate", [0xED, 0xA0, 0x80], "", "is not valid UTF-8"),
        Case("lone low surrogate", [0xED, 0xBF, 0xBF], "", "is not valid UTF-8"),
        Case("beyond U+10FFFF", [0xF4, 0x90, 0x80, 0x80], "", "is not valid UTF-8"),
        Case("five bytes", [0xF8, 0x88, 0x80, 0x80, 0x80], "", "is not valid UTF-8"),
        Case("a continuation alone", [0x80], "", "is not valid UTF-8"),
        Case("two bytes cut", [0x61, 0xC3], "", "is not valid UTF-8"),
        Case("three bytes cut", [0xE6, 0x9D], "", "is not valid UTF-8"),
        Case("four bytes cut", [0xF0, 0x9F, 0x8E], "", "is not valid UTF-8"),
        Case("cut by a letter", [0xE6, 0x9D, 0x61], "", "is not valid UTF-8"),
        Case("0xFF", [0xFF], "", "is not valid UTF-8"),
        Case("bad after twenty good bytes", Array("aaaaaaaaaaaaaaaaaaaa".utf8) + [0xFE], "", "is not valid UTF-8"),
    ]

    @Test(arguments: badText)
    func textIsChecked(_ bad: Case) {
        let request = WireBytes.bytes(2, WireBytes.text(1, "good")) + WireBytes.bytes(2, WireBytes.bytes(1, bad.bytes))
        #expect(throws: DecodingError(field: "lines[1].product_id", reason: bad.reason)) {
            try Orders.SubmitOrderRequest(serializedBytes: request)
        }
        #expect(throws: DecodingError(field: "strings[0].key", reason: bad.reason)) {
            try Everything.Maps(serializedBytes: WireBytes.bytes(12, WireBytes.bytes(1, bad.bytes)))
        }
    }

    static let goodText = [
        "", "a", "12345678", "123456789", "é", "東京", "🎸", "\u{10FFFF}", "\u{D7FF}\u{E000}", "\u{7F}", "\u{80}", "\u{7FF}\u{800}\u{FFFF}",
        "x\n{\"level\":\"error\"}", "$where", "{\"$gt\":\"\"}", ".*", "(a+)+$", "../", "%00",
    ]

    /// Awkward is not wrong: such text arrives as it is.
    @Test(arguments: goodText)
    func awkwardTextArrives(_ text: String) throws {
        let bytes = try Catalog.GetProductRequest(id: text).serializedBytes()
        #expect(try Catalog.GetProductRequest(serializedBytes: bytes).id == text)
    }

    /// Each field of each type with each wire type that is not its own.
    @Test func wrongWireTypeForEachField() throws {
        let contents: [UInt64: [UInt8]] = [0: [1], 1: [1, 2, 3, 4, 5, 6, 7, 8], 2: [0], 5: [1, 2, 3, 4]]
        let varints: [UInt64] = [1, 2, 3, 4, 5, 6, 13, 16]
        for field in Array(1...19) + [536_870_911] as [UInt64] {
            let right: UInt64 =
                varints.contains(field) ? 0 : [7, 9, 11].contains(field) ? 5 : [8, 10, 12].contains(field) ? 1 : 2
            for (wireType, value) in contents {
                let bytes = WireBytes.tag(field, wireType) + value
                if wireType == right {
                    _ = try Everything.Singles(serializedBytes: bytes)
                } else {
                    let reason = "wire type \(wireType) where \(right) is expected"
                    let error = #expect(throws: DecodingError.self) { try Everything.Singles(serializedBytes: bytes) }
                    #expect(error?.reason == reason)
                    #expect(error?.field.isEmpty == false)
                }
            }
        }
    }

    static let numbers: [Int32] = [0, -1, 10_001, .max, .min]

    /// The codec takes every number; what it means is the service's business.
    @Test(arguments: numbers)
    func numbersArrive(_ number: Int32) throws {
        let request = Catalog.ListProductsRequest(pageSize: number, page: number)
        #expect(try Catalog.ListProductsRequest(serializedBytes: request.serializedBytes()) == request)
        let line = Orders.OrderLine(quantity: number)
        #expect(try Orders.OrderLine(serializedBytes: line.serializedBytes()) == line)
    }

    @Test func unknownEnumNumbersSurvive() throws {
        for number: Int32 in [999, -1, .max, .min] {
            let order = try Orders.Order(serializedBytes: Orders.Order(state: .unrecognized(number)).serializedBytes())
            #expect(order.state == .unrecognized(number))
            #expect(order.state.rawValue == number)
        }
    }
}
