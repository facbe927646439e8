import Foundation
import ProtoRuntime

/// SplitMix64: the same numbers from the same seed, everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// A new seed for each run, which a failure shows; ORDERWIRE_SEED repeats a run.
    static func newSeed() -> UInt64 {
        ProcessInfo.processInfo.environment["ORDERWIRE_SEED"].flatMap { UInt64($0) } ?? .random(in: 0..<(1 << 40))
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Random messages of every type, with values at the edges more often than chance would have it.
struct RandomMessages {
    var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func integer<Integer: FixedWidthInteger>(_ type: Integer.Type = Integer.self) -> Integer {
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: 0
        case 1: .max
        case 2: .min
        case 3: Integer.random(in: 0..<100, using: &generator)
        default: .random(in: .min ... .max, using: &generator)
        }
    }

    mutating func double() -> Double {
        [0, 1, -1.5, 1e300, -1e-300, .infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 0.1, 123456789]
            .randomElement(using: &generator) ?? 0
    }

    /// Without the very largest and the very smallest: Python refuses the one and prints the other with more digits.
    mutating func float() -> Float {
        [0, 1, -1.5, 1e30, -1e-30, -.infinity, 3.4e38, .leastNormalMagnitude, 0.1, 16777216]
            .randomElement(using: &generator) ?? 0
    }

    mutating func bool() -> Bool { .random(using: &generator) }

    mutating func string() -> String {
        let alphabet: [Character] = ["a", "Z", "0", " ", "\"", "\\", "\n", "\u{1}", "\u{7F}", "é", "東", "🎸", "\u{10FFFF}", "\u{2028}"]
        return String((0..<length()).map { _ in alphabet.randomElement(using: &generator) ?? "a" })
    }

    mutating func bytes() -> [UInt8] { (0..<length()).map { _ in integer() } }

    private mutating func length() -> Int {
        [0, 1, 3, 20, 300].randomElement(using: &generator).map { Int.random(in: 0...$0, using: &generator) } ?? 0
    }

    mutating func color() -> Everything.Color { Everything.Color(rawValue: [0, 1, 999, .max, -5, -6].randomElement(using: &generator) ?? 0) }
    mutating func leaf() -> Everything.Leaf { .init(text: string(), number: integer()) }

    mutating func time() -> WellKnown.Timestamp {
        .init(
            seconds: .random(in: -62_135_596_800...253_402_300_799, using: &generator),
            nanos: [0, 1, 5000, 120_000_000, 999_999_999].randomElement(using: &generator) ?? 0)
    }

    mutating func duration() -> WellKnown.Duration {
        let sign: Int64 = bool() ? 1 : -1
        let nanos = Int64([0, 1, 5000, 120_000_000, 999_999_999].randomElement(using: &generator) ?? 0)
        return .init(seconds: sign * .random(in: 0...315_576_000_000, using: &generator), nanos: Int32(sign * nanos))
    }

    mutating func any() throws -> WellKnown.AnyMessage {
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: try .init(packing: leaf())
        case 1: try .init(packing: time())
        case 2: try .init(packing: try WellKnown.AnyMessage(packing: duration()))
        default: .init()
        }
    }

    mutating func optional<Value>(_ make: (inout RandomMessages) throws -> Value) rethrows -> Value? {
        bool() ? try make(&self) : nil
    }

    mutating func list<Value>(_ make: (inout RandomMessages) throws -> Value) rethrows -> [Value] {
        var values: [Value] = []
        for _ in 0..<Int.random(in: 0...6, using: &generator) { values.append(try make(&self)) }
        return values
    }

    mutating func map<Key: Hashable, Value>(
        _ key: (inout RandomMessages) -> Key, _ value: (inout RandomMessages) -> Value
    ) -> [Key: Value] {
        var map: [Key: Value] = [:]
        for _ in 0..<Int.random(in: 0...6, using: &generator) { map[key(&self)] = value(&self) }
        return map
    }
}

extension RandomMessages {
    mutating func singles() throws -> Everything.Singles {
        try .init(
            int32Value: integer(), int64Value: integer(), uint32Value: integer(), uint64Value: integer(),
            sint32Value: integer(), sint64Value: integer(), fixed32Value: integer(), fixed64Value: integer(),
            sfixed32Value: integer(), sfixed64Value: integer(), floatValue: float(), doubleValue: double(), boolValue: bool(),
            stringValue: string(), bytesValue: bytes(), color: color(), leaf: optional { $0.leaf() },
            time: optional { $0.time() }, duration: optional { $0.duration() }, any: optional { try $0.any() })
    }

    mutating func lists() throws -> Everything.Lists {
        try .init(
            int32Values: list { $0.integer() }, int64Values: list { $0.integer() }, uint32Values: list { $0.integer() },
            uint64Values: list { $0.integer() }, sint32Values: list { $0.integer() }, sint64Values: list { $0.integer() },
            fixed32Values: list { $0.integer() }, fixed64Values: list { $0.integer() }, sfixed32Values: list { $0.integer() },
            sfixed64Values: list { $0.integer() }, floatValues: list { $0.float() }, doubleValues: list { $0.double() },
            boolValues: list { $0.bool() }, stringValues: list { $0.string() }, bytesValues: list { $0.bytes() },
            colors: list { $0.color() }, leaves: list { $0.leaf() }, times: list { $0.time() },
            durations: list { $0.duration() }, anys: list { try $0.any() }, unpackedValues: list { $0.integer() })
    }

    mutating func maps() -> Everything.Maps {
        .init(
            int32s: map({ $0.integer() }, { $0.integer() }), int64s: map({ $0.integer() }, { $0.integer() }),
            uint32s: map({ $0.integer() }, { $0.integer() }), uint64s: map({ $0.integer() }, { $0.integer() }),
            sint32s: map({ $0.integer() }, { $0.integer() }), sint64s: map({ $0.integer() }, { $0.integer() }),
            fixed32s: map({ $0.integer() }, { $0.float() }), fixed64s: map({ $0.integer() }, { $0.double() }),
            sfixed32s: map({ $0.integer() }, { $0.bool() }), sfixed64s: map({ $0.integer() }, { $0.bytes() }),
            bools: map({ $0.bool() }, { $0.string() }), strings: map({ $0.string() }, { $0.color() }),
            leavesByName: map({ $0.string() }, { $0.leaf() }), times: map({ $0.string() }, { $0.time() }))
    }

    mutating func choices() throws -> Everything.Choices {
        let values: [Everything.Choices.Value?] = [
            nil, .number(integer()), .text(string()), .data(bytes()), .flag(bool()), .color(color()), .leaf(leaf()),
            .singles(try singles()), .fraction(float()),
        ]
        let others: [Everything.Choices.OtherValue?] = [nil, .small(integer()), .wait(duration())]
        return .init(
            between: string(), value: values.randomElement(using: &generator) ?? nil,
            otherValue: others.randomElement(using: &generator) ?? nil)
    }
}
