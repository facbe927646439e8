import ProtoEcho
import ProtoRuntime
import ProtoShop
import Protobuf
import Testing

/// What libprotobuf-c 1.4.1 does to the unwary, and that it does not happen here.
struct ProtobufCPitfallTests {
    /// "k\0x" becomes "k" in a C string: two idempotency keys would become one.
    @Test func stringsEndAtNUL() throws {
        let key = [UInt8]("k\0x".utf8)
        #expect(throws: DecodingError(field: "idempotency_key", reason: "contains U+0000")) {
            try Orders.SubmitOrderRequest(serializedBytes: WireBytes.bytes(1, key))
        }
        #expect(throws: EncodingError.self) { try Orders.SubmitOrderRequest(idempotencyKey: "k\0x").serializedBytes() }
        #expect(throws: EncodingError.self) { try Orders.SubmitOrderRequest(idempotencyKey: "k\0x").jsonString() }
        let error = #expect(throws: JSONDecodingError.self) {
            try Orders.SubmitOrderRequest(jsonString: #"{"idempotencyKey":"k\u0000x"}"#)
        }
        #expect(error?.field == "idempotencyKey")
    }

    /// protobuf-c hands on any bytes as a string.
    @Test func utf8IsNotChecked() {
        #expect(throws: DecodingError(field: "id", reason: "is not valid UTF-8")) {
            try Catalog.GetProductRequest(serializedBytes: WireBytes.bytes(1, [0xFF]))
        }
    }

    /// An empty submessage of two bytes becomes a struct of a hundred: the arena is capped.
    @Test func unpackingAmplifies() throws {
        let empty = Array(repeating: WireBytes.bytes(1, []), count: 10_000).flatMap { $0 }
        #expect(try Catalog.ImportProductsRequest(serializedBytes: empty).products.count == 10_000)
        #expect(throws: DecodingError(reason: "takes too much memory")) {
            try Catalog.ImportProductsRequest(serializedBytes: empty, limits: .init(maxArenaBytes: 500_000))
        }
        #expect(try Echo.EchoRequest(serializedBytes: [0x0A, 1, 7]).payload == [7])
    }

    /// Wherever memory ends, protobuf-c's way out is clean, and the next message decodes.
    @Test func anyAllocationCanFail() throws {
        var random = RandomMessages(seed: 7)
        let lists = try random.lists()
        let bytes = try lists.serializedBytes()
        var failures = 0
        for limit in stride(from: 0, to: 40_000, by: 40) {
            do throws(DecodingError) {
                #expect(try Everything.Lists(serializedBytes: bytes, limits: .init(maxArenaBytes: limit)) == lists)
            } catch {
                failures += 1
            }
        }
        #expect(failures > 10)
        #expect(try Everything.Lists(serializedBytes: bytes) == lists)
    }

    /// A singular submessage that comes a thousand times would be merged a thousand times over.
    @Test func mergingIsQuadratic() {
        let total = WireBytes.bytes(3, WireBytes.text(1, "USD"))
        #expect(throws: DecodingError(field: "expected_total", reason: "occurs twice")) {
            try Orders.SubmitOrderRequest(serializedBytes: Array(repeating: total, count: 1000).flatMap { $0 })
        }
    }

    /// The same in a oneof, and past the 64th field.
    @Test func mergingIsQuadraticInOneofsAndWideMessages() {
        #expect(throws: DecodingError(field: "leaf", reason: "occurs twice")) {
            try Everything.Choices(serializedBytes: WireBytes.bytes(6, []) + WireBytes.bytes(6, []))
        }
        #expect(throws: DecodingError(field: "leaf70", reason: "occurs twice")) {
            try Everything.Wide(serializedBytes: WireBytes.bytes(70, []) + WireBytes.bytes(69, []) + WireBytes.bytes(70, []))
        }
    }

    /// Of several members of a oneof the last one counts, whatever the earlier ones held.
    @Test func oneofMembersShareMemory() throws {
        let bytes = WireBytes.text(2, "text") + WireBytes.bytes(6, WireBytes.text(1, "leaf")) + WireBytes.number(4, 1)
            + WireBytes.bytes(3, [1, 2])
        #expect(try Everything.Choices(serializedBytes: bytes).value == .data([1, 2]))
        #expect(try Everything.Choices(serializedBytes: bytes + WireBytes.number(1, 0)).value == .number(0))
    }

    /// protobuf-c does not look at enum numbers; a negative one takes ten bytes.
    @Test func enumsAreUnchecked() throws {
        let color = Everything.Singles(color: .negative)
        #expect(try color.serializedBytes() == [0x80, 0x01] + WireBytes.varint(UInt64(bitPattern: -5)))
        #expect(try Everything.Singles(serializedBytes: color.serializedBytes()).color == .negative)
        #expect(try Everything.Singles(serializedBytes: [0x80, 0x01, 0xE7, 0x07]).color == .unrecognized(999))
    }

    /// protobuf-c's search for an enum's number overflows at the largest one and does not find it.
    @Test func theLargestEnumNumberIsNotFound() throws {
        #expect(try Everything.Singles(color: .far).jsonString() == #"{"color":"COLOR_FAR"}"#)
    }

    /// Both forms of a repeated number are one list.
    @Test func packedAndUnpackedAreOneList() throws {
        let mixed = WireBytes.bytes(1, [1, 2]) + WireBytes.number(1, 3) + WireBytes.bytes(1, []) + WireBytes.bytes(1, [4])
        #expect(try Everything.Lists(serializedBytes: mixed).int32Values == [1, 2, 3, 4])
        #expect(try Everything.Lists(serializedBytes: WireBytes.bytes(21, [1, 2])).unpackedValues == [1, 2])
        #expect(throws: DecodingError(field: "int32_values[1]", reason: "ends inside a value")) {
            try Everything.Lists(serializedBytes: WireBytes.number(1, 3) + WireBytes.bytes(1, [1, 0x80]))
        }
    }

    /// A map entry may lack its key or its value.
    @Test func mapEntriesMayBeEmpty() throws {
        #expect(try Everything.Maps(serializedBytes: WireBytes.bytes(13, [])).leavesByName == ["": .init()])
        let twice = WireBytes.bytes(1, WireBytes.number(1, 7) + WireBytes.number(2, 1)) + WireBytes.bytes(1, WireBytes.number(1, 7))
        #expect(try Everything.Maps(serializedBytes: twice).int32s == [7: 0])
    }

    /// protobuf-c takes -0.0 for the default and leaves it out. It is the one value that does not come back.
    @Test func minusZeroIsLeftOut() throws {
        #expect(try Everything.Singles(floatValue: -0.0, doubleValue: -0.0).serializedBytes() == [])
        let list = Everything.Lists(doubleValues: [-0.0])
        #expect(try Everything.Lists(serializedBytes: list.serializedBytes()).doubleValues[0].sign == .minus)
    }

    /// Timestamps are protoc-c's own code: Debian ships none.
    @Test func timestampIsNotShipped() throws {
        let stamp = WellKnown.Timestamp(seconds: 1, nanos: 2)
        #expect(try WellKnown.Timestamp(serializedBytes: stamp.serializedBytes()) == stamp)
    }
}
