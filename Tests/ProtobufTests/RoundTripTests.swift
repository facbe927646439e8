import ProtoRuntime
import ProtoShop
import Protobuf
import Testing

/// Values come back from bytes and from JSON as they were.
struct RoundTripTests {
    private static let options = JSONOptions(anyTypes: EverythingTypes.inAny)

    private func check<Value: Message>(_ message: Value, _ seed: UInt64) throws {
        let bytes = try message.serializedBytes()
        #expect(try Value(serializedBytes: bytes) == message, "seed \(seed)")
        #expect(try Value(serializedBytes: bytes).serializedBytes() == bytes, "seed \(seed)")
        let json = try message.jsonString(options: Self.options)
        #expect(try Value(jsonString: json, options: Self.options) == message, "seed \(seed): \(json)")
        let pretty = try message.jsonString(options: .init(anyTypes: EverythingTypes.inAny, isPretty: true))
        #expect(try Value(jsonString: pretty, options: Self.options) == message, "seed \(seed): \(pretty)")
    }

    @Test func randomMessagesOfEveryType() throws {
        let seed = SeededGenerator.newSeed()
        var random = RandomMessages(seed: seed)
        for _ in 0..<300 {
            try check(try random.singles(), seed)
            try check(try random.lists(), seed)
            try check(random.maps(), seed)
            try check(try random.choices(), seed)
        }
    }

    /// Every prefix of good bytes decodes or is refused, and what decodes encodes again.
    @Test func cutAtEveryByte() throws {
        let seed = SeededGenerator.newSeed()
        var random = RandomMessages(seed: seed)
        let messages: [any Message] = [try random.singles(), try random.lists(), random.maps(), try random.choices()]
        for message in messages { try cut(message, seed) }
    }

    private func cut<Value: Message>(_ message: Value, _ seed: UInt64) throws {
        let bytes = try message.serializedBytes()
        for count in 0..<bytes.count {
            let prefix = Array(bytes[..<count])
            do {
                let decoded = try Value(serializedBytes: prefix)
                #expect(try decoded.serializedBytes().count <= prefix.count, "seed \(seed)")
            } catch let error as DecodingError {
                #expect(!error.reason.isEmpty, "seed \(seed)")
            }
        }
        #expect(try Value(serializedBytes: bytes) == message, "seed \(seed)")
    }

    /// Any one byte changed: it decodes to something, or is refused; nothing else happens.
    @Test func oneByteChanged() throws {
        let seed = SeededGenerator.newSeed()
        var random = RandomMessages(seed: seed)
        for _ in 0..<20 {
            let bytes = try random.singles().serializedBytes() + random.choices().serializedBytes()
            for index in bytes.indices {
                var changed = bytes
                changed[index] = random.integer()
                do {
                    let decoded = try Everything.Singles(serializedBytes: changed)
                    _ = try decoded.serializedBytes()
                } catch let error as DecodingError {
                    #expect(!error.reason.isEmpty, "seed \(seed)")
                }
            }
        }
    }

    @Test func hardNames() throws {
        let names = Everything.Names(
            default: "a", class: "b", in: "c", hashValue_: "d", camelCase: "e", hello2world: "f", doubleUnderscore: "g",
            protocol: .init(init: "h", self_: "i"), type: .type2d, xmlThing: .init(a1B2: "j"), register: [1, 2],
            uPPERCASE: 3, description: "k")
        try check(names, 0)
        try check(Everything.Names(type: .default), 0)
    }

    @Test func moreFieldsThanAMachineWordHasBits() throws {
        try check(Everything.Wide(leaf1: .init(), leaf64: .init(), leaf65: .init(text: "x"), leaf70: .init(number: 7)), 0)
    }

    @Test func unknownFieldsAreSkipped() throws {
        let newer = try Catalog.Money(currencyCode: "USD", units: 5).serializedBytes()
            + WireBytes.text(100, "new") + WireBytes.number(101, 1) + WireBytes.tag(102, 5) + [1, 2, 3, 4]
            + WireBytes.tag(103, 1) + [1, 2, 3, 4, 5, 6, 7, 8]
        #expect(try Catalog.Money(serializedBytes: newer) == Catalog.Money(currencyCode: "USD", units: 5))
    }
}

/// The types that the tests put into Any.
enum EverythingTypes {
    static let inAny: [String: any Message.Type] = [
        "orderwire.everything.v1.Leaf": Everything.Leaf.self, "google.protobuf.Timestamp": WellKnown.Timestamp.self,
        "google.protobuf.Duration": WellKnown.Duration.self, "google.protobuf.Any": WellKnown.AnyMessage.self,
    ]
}
