import ProtoEcho
import ProtoRuntime
import ProtoShop
import Protobuf

/// A message type with its properties, whichever type that is.
struct FuzzedMessage: Sendable {
    let checkBinary: @Sendable (UnsafeRawBufferPointer) -> Void
    let checkJSON: @Sendable (String) -> Void
    let binarySeeds: [[UInt8]]
    let jsonSeeds: [[UInt8]]

    init<Value: Message>(_ examples: Value...) {
        checkBinary = Decoded<Value>.check
        checkJSON = ReadJSON<Value>.check
        do throws(EncodingError) {
            binarySeeds = try examples.map { (example) throws(EncodingError) in try example.serializedBytes() }
            jsonSeeds = try examples.map { (example) throws(EncodingError) in Array(try example.jsonString().utf8) }
        } catch {
            broken("an example can be written: \(error)")
        }
    }

    /// What strangers send first, what has most fields, each kind of field, and what nests.
    static let all: [FuzzedMessage] = [
        FuzzedMessage(Orders.SubmitOrderRequest(
            idempotencyKey: "key-1",
            lines: [.init(productId: "a", quantity: 2), .init(productId: "b", quantity: 1, unitPrice: .init(currencyCode: "USD", units: 1))],
            expectedTotal: .init(currencyCode: "USD", units: 12, nanos: 340_000_000), validateOnly: true)),
        FuzzedMessage(Catalog.ListProductsRequest(category: "rock", orderBy: "price desc", pageSize: 50, page: 2, pageToken: "token")),
        FuzzedMessage(Catalog.ListProductsResponse(
            products: [
                .init(id: "p", name: "né", category: "c", price: .init(currencyCode: "USD", units: 1, nanos: 10_000_000), stock: -1,
                    description: "d", updateTime: .init(seconds: 1_700_000_000, nanos: 1))
            ], totalSize: 1309, pageCount: 27, nextPageToken: "t")),
        FuzzedMessage(Runtime.Hello(minVersion: 1, maxVersion: 1, clientName: "fuzzer", features: ["a", "b"], userAgent: "x/1")),
        FuzzedMessage(Echo.EchoRequest(payload: [0, 1, 2, 255])),
        FuzzedMessage(Orders.AckCompletionsRequest(group: "g", memberId: "m", sequences: [1, 2, 300, 1 << 40])),
        FuzzedMessage(Everything.Singles(
            int32Value: -1, int64Value: .min, uint32Value: .max, uint64Value: .max, sint32Value: -2, sint64Value: 3, fixed32Value: 4,
            fixed64Value: 5, sfixed32Value: -6, sfixed64Value: -7, floatValue: 0.5, doubleValue: .nan, boolValue: true, stringValue: "🎸",
            bytesValue: [0, 255], color: .negative, leaf: leaf, time: .init(seconds: 1, nanos: 2), duration: .init(seconds: -1, nanos: -5))),
        FuzzedMessage(Everything.Lists(
            int32Values: [1, -1], doubleValues: [0.1, .infinity], boolValues: [true, false], stringValues: ["", "x"], bytesValues: [[], [1]],
            colors: [.red, .unrecognized(9)], leaves: [leaf, .init()], times: [.init(seconds: 5), .init(seconds: 6, nanos: 50_000_000), .init(nanos: 7_000)], durations: [.init(seconds: 1, nanos: 5_000_000)],
            unpackedValues: [1, 2])),
        FuzzedMessage(
            Everything.Maps(int32s: [1: 2], bools: [true: "yes"], strings: ["a": .red, "b": .far], leavesByName: ["l": leaf], times: ["t": .init()])),
        FuzzedMessage(
            Everything.Choices(between: "b", value: .text("x"), otherValue: .small(-1)), .init(value: .leaf(leaf)), .init(value: .number(0))),
        FuzzedMessage(Everything.Nest1(nest2: .init(nest3: [.init(), .init(leaf: leaf)]))),
    ]

    private static let leaf = Everything.Leaf(text: "leaf", number: -1)

    /// Chosen by an input's first byte; the rest is the message.
    static func choose(_ input: UnsafeRawBufferPointer) -> (FuzzedMessage, UnsafeRawBufferPointer)? {
        guard let first = input.first, Int(first) < all.count else { return nil }
        return (all[Int(first)], UnsafeRawBufferPointer(rebasing: input.dropFirst()))
    }
}

func checkDecoding(_ input: UnsafeRawBufferPointer) {
    guard let (message, bytes) = FuzzedMessage.choose(input) else { return }
    message.checkBinary(bytes)
}

func checkJSON(_ input: UnsafeRawBufferPointer) {
    guard let (message, bytes) = FuzzedMessage.choose(input) else { return }
    // Callers have Swift strings, which are valid UTF-8 always.
    message.checkJSON(String(decoding: bytes, as: UTF8.self))
}

/// Properties of what was decoded. Values are compared by their bytes: a NaN is not equal to itself.
private enum Decoded<Value: Message> {
    @Sendable static func check(_ bytes: UnsafeRawBufferPointer) {
        do throws(DecodingError) {
            let value = try Value(serializedBytes: bytes)
            let written = encoded(value)
            let again: Value = decoded(written)
            require(encoded(again) == written, "\(Value.messageName): what was written once is written so again")
        } catch {
            // The scan accepts nothing that does not fit: libFuzzer's inputs are far smaller than the arena over the amplification.
            require(error.reason != "takes too much memory", "\(Value.messageName): \(bytes.count) bytes fit into the arena")
        }
        checkLimits(bytes)
    }

    /// Narrow limits refuse, or change nothing.
    private static func checkLimits(_ bytes: UnsafeRawBufferPointer) {
        let narrow = DecodingLimits(maxBytes: 512, maxElements: 16, maxDepth: 3, maxStringBytes: 64, maxArenaBytes: 4096)
        do throws(DecodingError) {
            let value = try Value(serializedBytes: bytes, limits: narrow)
            require(bytes.count <= 512, "\(Value.messageName): the limit on bytes holds")
            let same = try Value(serializedBytes: bytes)
            require(encoded(value) == encoded(same), "\(Value.messageName): limits change no value")
        } catch {
            require(!error.reason.isEmpty, "a refusal has a reason")
        }
    }
}

/// Properties of what was read from ProtoJSON.
private enum ReadJSON<Value: Message> {
    private static var options: JSONOptions {
        JSONOptions(anyTypes: [Everything.Leaf.messageName: Everything.Leaf.self, WellKnown.Timestamp.messageName: WellKnown.Timestamp.self])
    }

    @Sendable static func check(_ text: String) {
        guard let value = read(text) else { return }
        let written = json(value)
        guard let again = read(written) else { broken("\(Value.messageName): ProtoJSON of ours can be read: \(written)") }
        require(json(again) == written, "\(Value.messageName): what was written once is written so again")
        // Through the binary form, too: a number or text that ProtoJSON lets in has a place there.
        require(json(decoded(encoded(value)) as Value) == written, "\(Value.messageName): both forms hold the same")
    }

    private static func read(_ text: String) -> Value? {
        do throws(JSONDecodingError) {
            return try Value(jsonString: text, options: options)
        } catch {
            return nil
        }
    }

    private static func json(_ value: Value) -> String {
        do throws(EncodingError) {
            return try value.jsonString(options: options)
        } catch {
            broken("\(Value.messageName): what was read from ProtoJSON can be written: \(error)")
        }
    }
}

private func encoded<Value: Message>(_ value: Value) -> [UInt8] {
    do throws(EncodingError) {
        return try value.serializedBytes()
    } catch {
        broken("\(Value.messageName): what was decoded can be encoded: \(error)")
    }
}

private func decoded<Value: Message>(_ bytes: [UInt8]) -> Value {
    do throws(DecodingError) {
        return try Value(serializedBytes: bytes)
    } catch {
        broken("\(Value.messageName): what was encoded can be decoded: \(error)")
    }
}
