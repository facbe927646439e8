import ProtoRuntime
import ProtoShop
import Protobuf
import Testing

/// ProtoJSON as https://protobuf.dev/programming-guides/json describes it.
struct JSONTests {
    @Test func namesAndNumbers() throws {
        let response = Catalog.ListProductsResponse(
            products: [.init(id: "p", price: .init(currencyCode: "USD", nanos: 990_000_000))], totalSize: 1309, pageCount: 131)
        #expect(
            try response.jsonString()
                == #"{"products":[{"id":"p","price":{"currencyCode":"USD","nanos":990000000}}],"totalSize":"1309","pageCount":"131"}"#)
        #expect(try Catalog.ListProductsResponse().jsonString() == "{}")
    }

    @Test func prettyForPeople() throws {
        let order = Orders.Order(id: "A", lines: [.init(productId: "p", quantity: 2), .init()])
        #expect(
            try order.jsonString(options: .init(isPretty: true)) == """
                {
                  "id": "A",
                  "lines": [
                    {
                      "productId": "p",
                      "quantity": 2
                    },
                    {}
                  ]
                }
                """)
    }

    @Test func enumsByNameAndUnknownOnesByNumber() throws {
        #expect(try Orders.Order(state: .fulfilled).jsonString() == #"{"state":"ORDER_STATE_FULFILLED"}"#)
        #expect(try Orders.Order(state: .unrecognized(999)).jsonString() == #"{"state":999}"#)
        #expect(try Orders.Order(jsonString: #"{"state":"ORDER_STATE_FULFILLED"}"#).state == .fulfilled)
        #expect(try Orders.Order(jsonString: #"{"state":2}"#).state == .fulfilled)
        #expect(try Orders.Order(jsonString: #"{"state":999}"#).state == .unrecognized(999))
        #expect(try Everything.Singles(jsonString: #"{"color":"COLOR_CRIMSON"}"#).color == .red)
    }

    @Test func controlCharactersAreEscaped() throws {
        let product = Catalog.Product(name: "a\n\r\t\"\\\u{1}\u{7F}\u{2028}é東🎸")
        #expect(try product.jsonString() == #"{"name":"a\n\r\t\"\\\u0001\u007f\u2028é東🎸"}"#)
        #expect(try Catalog.Product(jsonString: #"{"name":"\u00e9\ud83c\udfb8\/\b\f"}"#).name == "é🎸/\u{8}\u{C}")
    }

    @Test func bothSpellingsAreTaken() throws {
        let expected = Catalog.ListProductsRequest(pageSize: 5)
        #expect(try Catalog.ListProductsRequest(jsonString: #"{"page_size":5}"#) == expected)
        #expect(try Catalog.ListProductsRequest(jsonString: " { \"pageSize\" : 5 } \n") == expected)
        #expect(try Catalog.ListProductsRequest(jsonString: #"{"pageSize":"5","orderBy":null}"#) == expected)
        #expect(try Catalog.ListProductsRequest(jsonString: #"{"pageSize":5.0}"#) == expected)
        #expect(try Catalog.ListProductsRequest(jsonString: #"{"pageSize":0.5e1}"#) == expected)
    }

    @Test func theEdgesOfNumbers() throws {
        let json = #"{"int64Value":"-9223372036854775808","uint64Value":18446744073709551615,"floatValue":"NaN","doubleValue":"-Infinity"}"#
        let singles = try Everything.Singles(jsonString: json)
        #expect(singles.int64Value == .min)
        #expect(singles.uint64Value == .max)
        #expect(singles.floatValue.isNaN)
        #expect(singles.doubleValue == -.infinity)
        #expect(
            try singles.jsonString()
                == #"{"int64Value":"-9223372036854775808","uint64Value":"18446744073709551615","floatValue":"NaN","doubleValue":"-Infinity"}"#)
    }

    @Test(arguments: [Float.greatestFiniteMagnitude, .leastNonzeroMagnitude, -.leastNormalMagnitude, 0.1, 16777216])
    func theEdgesOfFloat(_ value: Float) throws {
        let singles = Everything.Singles(floatValue: value, doubleValue: Double(value))
        #expect(try Everything.Singles(jsonString: singles.jsonString()) == singles)
    }

    @Test func oneofsShowTheirMemberEvenAtItsDefault() throws {
        #expect(try Everything.Choices(value: .number(0)).jsonString() == #"{"number":"0"}"#)
        #expect(try Everything.Choices(jsonString: #"{"text":""}"#).value == .text(""))
        #expect(try Everything.Choices(jsonString: #"{"text":null,"flag":false}"#).value == .flag(false))
    }

    @Test func mapsAreObjectsByAscendingKey() throws {
        let stats = Runtime.StatsResponse(refusedCounts: ["b": 2, "a": -1])
        #expect(try stats.jsonString() == #"{"refusedCounts":{"a":"-1","b":"2"}}"#)
        #expect(try Everything.Maps(bools: [true: "t", false: "f"]).jsonString() == #"{"bools":{"false":"f","true":"t"}}"#)
        #expect(try Everything.Maps(jsonString: #"{"int64s":{"-5":"7"}}"#).int64s == [-5: 7])
    }

    @Test func anyShowsTheMessageInside() throws {
        let info = Runtime.ErrorInfo(reason: "R", domain: "orderwire")
        let status = Runtime.Status(
            code: 5, details: [
                try .init(packing: info, typeName: "google.rpc.ErrorInfo"), try .init(packing: WellKnown.Duration(seconds: 1)),
                .init(),
            ])
        let options = JSONOptions(anyTypes: ["google.rpc.ErrorInfo": Runtime.ErrorInfo.self, "google.protobuf.Duration": WellKnown.Duration.self])
        let json = try status.jsonString(options: options)
        #expect(
            json
                == #"{"code":5,"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"R","domain":"orderwire"},{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"},{}]}"#
        )
        #expect(try Runtime.Status(jsonString: json, options: options) == status)
        let late = #"{"details":[{"reason":"R","domain":"orderwire","@type":"type.googleapis.com/google.rpc.ErrorInfo"}]}"#
        #expect(try Runtime.Status(jsonString: late, options: options).details == [status.details[0]])
        #expect(throws: EncodingError(field: "details[0]", reason: "no known type for type.googleapis.com/google.rpc.ErrorInfo")) {
            try status.jsonString()
        }
    }

    struct Case: CustomTestStringConvertible {
        let json: String
        let field: String
        let reason: String
        var testDescription: String { json }

        init(_ json: String, _ field: String, _ reason: String) { (self.json, self.field, self.reason) = (json, field, reason) }
    }

    private static let singlesFields = """
        orderwire.everything.v1.Singles has no such field; it has int32Value, int64Value, uint32Value, uint64Value, sint32Value, \
        sint64Value, fixed32Value, fixed64Value, sfixed32Value, sfixed64Value, floatValue, doubleValue, boolValue, stringValue, \
        bytesValue, color, leaf, time, duration, any
        """

    static let refused: [Case] = [
        Case("", "", "the text ends at byte 0"),
        Case("null", "", "'{' is missing at byte 0"),
        Case("[]", "", "'{' is missing at byte 0"),
        Case("{} x", "", "something follows the value at byte 3"),
        Case("{", "", "the text ends at byte 1"),
        Case(#"{"stringValue":"a",}"#, "", "a string is expected at byte 19"),
        Case(#"{"nosuch":1}"#, "nosuch", singlesFields),
        Case(#"{"leaf":{"nosuch":1}}"#, "leaf.nosuch", "orderwire.everything.v1.Leaf has no such field; it has text, number"),
        Case(#"{"int32Value":1,"int32_value":1}"#, "int32_value", "occurs twice"),
        Case(#"{"int32Value":2147483648}"#, "int32Value", "no integer in range at byte 24"),
        Case(#"{"int32Value":1.5}"#, "int32Value", "no integer in range at byte 17"),
        Case(#"{"int32Value":1e99}"#, "int32Value", "no integer in range at byte 18"),
        Case(#"{"int32Value":01}"#, "int32Value", "a number starts with 0 at byte 16"),
        Case(#"{"int32Value":-}"#, "int32Value", "a number is expected at byte 15"),
        Case(#"{"int32Value":true}"#, "int32Value", "a number is expected at byte 14"),
        Case(#"{"int32Value":" 1"}"#, "int32Value", "no integer in range at byte 18"),
        Case(#"{"uint32Value":-1}"#, "uint32Value", "no integer in range at byte 17"),
        Case(#"{"floatValue":1e39}"#, "floatValue", "too large for a float at byte 18"),
        Case(#"{"doubleValue":1e999}"#, "doubleValue", "a number out of range at byte 20"),
        Case(#"{"doubleValue":"0x10"}"#, "doubleValue", "no number at byte 21"),
        Case(#"{"doubleValue":"nan"}"#, "doubleValue", "no number at byte 20"),
        Case(#"{"boolValue":"true"}"#, "boolValue", "true or false is expected at byte 13"),
        Case(#"{"boolValue":1}"#, "boolValue", "true or false is expected at byte 13"),
        Case(#"{"boolValue":tru}"#, "boolValue", "'true' is misspelt at byte 16"),
        Case(#"{"stringValue":5}"#, "stringValue", "a string is expected at byte 15"),
        Case(#"{"stringValue":"\u0000"}"#, "stringValue", "contains U+0000"),
        Case(#"{"stringValue":"\ud800"}"#, "stringValue", "a lone surrogate at byte 22"),
        Case(#"{"stringValue":"\udc00x"}"#, "stringValue", "a lone surrogate at byte 22"),
        Case(#"{"stringValue":"\x"}"#, "stringValue", "an unknown escape at byte 18"),
        Case("{\"stringValue\":\"\n\"}", "stringValue", "a control character that is not escaped at byte 17"),
        Case(#"{"stringValue":"a"#, "stringValue", "a string has no end at byte 17"),
        Case(#"{"bytesValue":"a"}"#, "bytesValue", "no base64 at byte 17"),
        Case(#"{"bytesValue":"a b="}"#, "bytesValue", "no base64 at byte 20"),
        Case(#"{"bytesValue":"===="}"#, "bytesValue", "no base64 at byte 20"),
        Case(
            #"{"color":"COLOR_BLUE"}"#, "color",
            "orderwire.everything.v1.Color has no such value; it has COLOR_NEGATIVE, COLOR_UNSPECIFIED, COLOR_RED, COLOR_FAR"),
        Case(#"{"color":1.5}"#, "color", "no enum number at byte 12"),
        Case(#"{"time":"2024-13-01T00:00:00Z"}"#, "time", "no RFC 3339 time at byte 30"),
        Case(#"{"duration":"1.5"}"#, "duration", "no duration like \"1.5s\" at byte 17"),
        Case(#"{"any":{"value":1}}"#, "any.@type", "is missing"),
        Case(#"{"any":{"@type":"a/b"}}"#, "any.@type", "no known type"),
        Case(#"{"leaf":[]}"#, "leaf", "'{' is missing at byte 8"),
    ]

    @Test(arguments: refused)
    func isRefused(_ bad: Case) {
        let error = #expect(throws: JSONDecodingError.self) { try Everything.Singles(jsonString: bad.json) }
        #expect(error?.field == bad.field)
        #expect(error?.reason == bad.reason)
    }

    @Test func arraysMapsAndOneofsAreRefusedWithTheirPath() {
        func path<Value: Message>(_ type: Value.Type, _ json: String) -> String? {
            #expect(throws: JSONDecodingError.self) { try Value(jsonString: json) }?.field
        }
        #expect(path(Everything.Lists.self, #"{"leaves":[{},{"number":"x"}]}"#) == "leaves[1].number")
        #expect(path(Everything.Lists.self, #"{"int32Values":[1,null]}"#) == "int32Values[1]")
        #expect(path(Everything.Lists.self, #"{"int32Values":1}"#) == "int32Values")
        #expect(path(Everything.Maps.self, #"{"int32s":{"x":1}}"#) == "int32s[x]")
        #expect(path(Everything.Maps.self, #"{"int32s":{"1":1,"1":2}}"#) == "int32s[1]")
        #expect(path(Everything.Maps.self, #"{"bools":{"yes":""}}"#) == "bools[yes]")
        #expect(path(Everything.Choices.self, #"{"number":1,"text":"a"}"#) == "text")
    }

    /// A hostile text may nest as it likes: it is refused at a depth of ours, not by the end of the stack.
    @Test func depthIsBounded() {
        let anys = String(repeating: #"{"@type":"x/google.protobuf.Any","value":"#, count: 100_000)
        let options = JSONOptions(anyTypes: EverythingTypes.inAny)
        #expect(throws: JSONDecodingError.self) { try WellKnown.AnyMessage(jsonString: anys, options: options) }
        let arrays = #"{"x":"# + String(repeating: "[", count: 1_000_000)
        #expect(throws: JSONDecodingError.self) { try WellKnown.AnyMessage(jsonString: arrays, options: options) }
        #expect(throws: JSONDecodingError.self) { try Everything.Lists(jsonString: #"{"int32Values":"# + String(repeating: "[", count: 1_000_000)) }
        let nested = #"{"nest2":{"nest3":[{"leaf":{}}]}}"#
        #expect(throws: JSONDecodingError.self) { try Everything.Nest1(jsonString: nested, limits: .init(maxDepth: 3)) }
        #expect(throws: Never.self) { try Everything.Nest1(jsonString: nested, limits: .init(maxDepth: 4)) }
    }

    /// An Any within an Any within ... on the wire is only bytes; JSON would show them all.
    @Test func depthIsBoundedOnTheWayOut() throws {
        var any = WellKnown.AnyMessage()
        for _ in 0..<20 { any = try WellKnown.AnyMessage(packing: any) }
        let options = JSONOptions(anyTypes: EverythingTypes.inAny)
        #expect(try WellKnown.AnyMessage(jsonString: any.jsonString(options: options), options: options) == any)
        for _ in 0..<20 { any = try WellKnown.AnyMessage(packing: any) }
        #expect(throws: EncodingError.self) { try any.jsonString(options: options) }
    }

    @Test func limitsHoldForText() {
        #expect(throws: JSONDecodingError.self) { try Everything.Leaf(jsonString: #"{"text":"abc"}"#, limits: .init(maxBytes: 5)) }
        #expect(throws: JSONDecodingError.self) { try Everything.Leaf(jsonString: #"{"text":"abc"}"#, limits: .init(maxStringBytes: 2)) }
        #expect(throws: JSONDecodingError.self) {
            try Everything.Lists(jsonString: #"{"int32Values":[1,2,3]}"#, limits: .init(maxElements: 3))
        }
        #expect(throws: JSONDecodingError.self) {
            try Everything.Lists(jsonString: #"{"stringValues":["aaaaaaaaaaaaaaaaaaa","b"]}"#, limits: .init(maxArenaBytes: 400))
        }
    }
}
