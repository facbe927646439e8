import ProtoRuntime
import ProtoShop
import Protobuf
import Testing

/// What is written by hand is what the ordinary encoder makes of the same values.
struct MessageWriterTests {
    private func bytes<M: Message>(_ message: EncodedMessage<M>) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: message.byteCount, alignment: 1)
        defer { memory.deallocate() }
        try message.serialize { count in
            #expect(count == memory.count)
            return memory
        }
        bytes.append(contentsOf: memory)
        return bytes
    }

    private func write(_ leaf: Everything.Leaf, to writer: inout MessageWriter<Everything.Leaf>) {
        writer.append(.text, leaf.text)
        writer.append(.number, leaf.number)
    }

    private func write(_ singles: Everything.Singles, to writer: inout MessageWriter<Everything.Singles>) {
        writer.append(.int32Value, singles.int32Value)
        writer.append(.int64Value, singles.int64Value)
        writer.append(.uint32Value, singles.uint32Value)
        writer.append(.uint64Value, singles.uint64Value)
        writer.append(.sint32Value, singles.sint32Value)
        writer.append(.sint64Value, singles.sint64Value)
        writer.append(.fixed32Value, singles.fixed32Value)
        writer.append(.fixed64Value, singles.fixed64Value)
        writer.append(.sfixed32Value, singles.sfixed32Value)
        writer.append(.sfixed64Value, singles.sfixed64Value)
        writer.append(.floatValue, singles.floatValue)
        writer.append(.doubleValue, singles.doubleValue)
        writer.append(.boolValue, singles.boolValue)
        writer.append(.stringValue, singles.stringValue)
        writer.append(.bytesValue, singles.bytesValue)
        writer.append(.color, singles.color)
        if let leaf = singles.leaf { writer.append(.leaf) { write(leaf, to: &$0) } }
        if let time = singles.time { writer.append(.time, time) }
        if let duration = singles.duration {
            writer.append(.duration) { writer in
                writer.append(.seconds, duration.seconds)
                writer.append(.nanos, duration.nanos)
            }
        }
        if let any = singles.any { writer.append(.any, any) }
    }

    private func write(_ choices: Everything.Choices, to writer: inout MessageWriter<Everything.Choices>) {
        switch choices.value {
        case nil: break
        case .number(let value)?: writer.append(.number, value)
        case .text(let value)?: writer.append(.text, value)
        case .data(let value)?: writer.append(.data, value)
        case .flag(let value)?: writer.append(.flag, value)
        case .color(let value)?: writer.append(.color, value)
        case .leaf(let value)?: writer.append(.leaf) { write(value, to: &$0) }
        case .singles(let value)?: writer.append(.singles) { write(value, to: &$0) }
        case .fraction(let value)?: writer.append(.fraction, value)
        }
        writer.append(.between, choices.between)
        switch choices.otherValue {
        case nil: break
        case .small(let value)?: writer.append(.small, value)
        case .wait(let value)?: writer.append(.wait, value)
        }
    }

    private func write(_ lists: Everything.Lists, to writer: inout MessageWriter<Everything.Lists>) {
        var numbers = lists
        numbers.stringValues = []
        numbers.bytesValues = []
        numbers.colors = []
        numbers.leaves = []
        numbers.times = []
        numbers.durations = []
        numbers.anys = []
        numbers.unpackedValues = []
        writer.append(contentsOf: numbers)
        for value in lists.stringValues { writer.append(.stringValues, value) }
        for value in lists.bytesValues { writer.append(.bytesValues, value) }
        writer.append(contentsOf: .init(colors: lists.colors))
        for value in lists.leaves { writer.append(.leaves) { write(value, to: &$0) } }
        for value in lists.times { writer.append(.times, value) }
        for value in lists.durations { writer.append(.durations, value) }
        for value in lists.anys { writer.append(.anys, value) }
        writer.append(contentsOf: .init(unpackedValues: lists.unpackedValues))
    }

    @Test func randomMessagesHaveTheBytesOfTheOrdinaryEncoder() throws {
        let seed = SeededGenerator.newSeed()
        var random = RandomMessages(seed: seed)
        for _ in 0..<300 {
            let singles = try random.singles()
            #expect(try bytes(EncodedMessage { write(singles, to: &$0) }) == singles.serializedBytes(), "seed \(seed)")
            let choices = try random.choices()
            #expect(try bytes(EncodedMessage { write(choices, to: &$0) }) == choices.serializedBytes(), "seed \(seed)")
            let lists = try random.lists()
            #expect(try bytes(EncodedMessage { write(lists, to: &$0) }) == lists.serializedBytes(), "seed \(seed)")
        }
    }

    /// Each side of every step in the length of the length.
    @Test(arguments: [0, 1, 124, 125, 126, 127, 128, 16_380, 16_381, 16_382, 16_383, 16_384, 2_097_150, 2_097_152])
    func messagesInMessagesOfAnyLength(_ length: Int) throws {
        let leaf = Everything.Leaf(text: String(repeating: "x", count: length), number: 7)
        let expected = Everything.Nest1(nest2: .init(nest3: [.init(leaf: leaf), .init(), .init(leaf: .init())]))
        let written = EncodedMessage<Everything.Nest1> { nest1 in
            nest1.append(.nest2) { nest2 in
                nest2.append(.nest3) { nest3 in nest3.append(.leaf) { write(leaf, to: &$0) } }
                nest2.append(.nest3) { _ in }
                nest2.append(.nest3) { nest3 in nest3.append(.leaf) { _ in } }
            }
        }
        #expect(try bytes(written) == expected.serializedBytes())
    }

    @Test func anEmptyMessageIsNoBytes() throws {
        #expect(try bytes(EncodedMessage<Everything.Leaf> { _ in }) == [])
    }

    @Test func textWithNULMakesAMessageThatCannotBeSent() {
        let written = EncodedMessage<Everything.Nest2> { nest2 in
            nest2.append(.nest3) { _ in }
            nest2.append(.nest3) { nest3 in
                nest3.append(.leaf) { leaf in
                    leaf.append(.text, "a\0b")
                    leaf.append(.number, 1)
                }
            }
        }
        #expect(throws: EncodingError(field: "nest3.leaf.text", reason: "contains U+0000, which protobuf-c cannot carry")) {
            try bytes(written)
        }
        let value = EncodedMessage<Everything.Nest3> { $0.append(.leaf, Everything.Leaf(text: "\0")) }
        #expect(throws: EncodingError(field: "leaf.text", reason: "contains U+0000, which protobuf-c cannot carry")) {
            try bytes(value)
        }
    }

    @Test func whatTheClosureThrowsIsPassedOn() {
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            _ = try EncodedMessage<Everything.Nest3> { (nest3) throws(Stop) in
                try nest3.append(.leaf) { (leaf) throws(Stop) in
                    leaf.append(.text, "a")
                    throw Stop()
                }
            }
        }
    }
}
