import ProtoRuntime
import ProtoSchema
import Protobuf
import RPC
import TestSupport
import Testing

@testable import orderwire

/// What a server tells about itself is read, whatever it is: it may be a hostile one.
@Suite struct ServerDescriptionTests {
    /// What a server without services of its own would send.
    private static let honest = RuntimeHandlers().files.flatMap { field(1, $0.serializedBytes) }

    @Test func whatTheProtoFilesSayIsShown() throws {
        let description = try ServerDescription(.init(fileDescriptorSet: Self.honest))
        #expect(description.services.map(\.fullName) == ["orderwire.runtime.v1.RuntimeService"])
        let names = description.entries.map(\.fullName)
        #expect(names.contains("orderwire.runtime.v1.RuntimeService/Stats") && names.contains("google.protobuf.Timestamp"))
        let stats = try #require(description.type("orderwire.runtime.v1.StatsResponse"))
        let text = description.text(of: [stats], width: 60, hasColour: true)
        #expect(text.contains("  \u{1B}[2m// When the server started.\u{1B}[0m\n  google.protobuf.Timestamp start_time = 1;\n"))
        #expect(text.contains("  map<string, int64> refused_counts = 7;\n"))
        let lines = text.split(separator: "\n").map { $0.replacing("\u{1B}[2m", with: "").replacing("\u{1B}[0m", with: "") }
        #expect(lines.allSatisfy { $0.count <= 60 })
    }

    @Test func aDescriptionThatIsCutIsNoCrash() {
        for length in stride(from: 0, to: Self.honest.count, by: 7) { Self.show(Array(Self.honest[..<length])) }
    }

    @Test(arguments: Seeds.fresh(3)) func aDamagedDescriptionIsNoCrash(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            var bytes = Self.honest
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            Self.show(bytes)
        }
    }

    @Test(arguments: [(20, true), (200, false)]) func nestedMessagesHaveALimit(depth: Int, isRead: Bool) {
        var message: [UInt8] = []
        for _ in 0..<depth { message = Self.field(3, Self.field(1, [UInt8(ascii: "M")]) + message) }
        let file = Self.field(1, Self.field(4, message))
        if isRead {
            #expect(throws: Never.self) { try SchemaFile.read(fileDescriptorSet: file) }
        } else {
            let error = #expect(throws: DecodingError.self) { try SchemaFile.read(fileDescriptorSet: file) }
            #expect(error?.reason == "nested deeper than 32")
        }
    }

    @Test func whatItSaysCannotDriveATerminal() throws {
        let hostile = Array("E\u{1B}]0;x\u{7}".utf8)
        let service = Self.field(6, Self.field(1, hostile) + Self.field(2, Self.field(1, hostile) + Self.field(2, hostile)))
        let description = try ServerDescription(.init(fileDescriptorSet: Self.field(1, service)))
        let text = description.text(of: description.entries.map(\.value), width: nil, hasColour: true)
        #expect(text.contains("service E\\u{1B}]0;x\\u{7} {") && !text.contains("\u{1B}]"))
    }

    /// Reads it, and shows all that there is.
    private static func show(_ bytes: [UInt8]) {
        guard let description = try? ServerDescription(.init(fileDescriptorSet: bytes)) else { return }
        let entries = description.entries.map(\.value)
        _ = description.text(of: entries, width: 40, hasColour: false)
        _ = entries.map { $0.json.text() }
    }

    /// A length-prefixed field.
    private static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        var rest = bytes.count
        while rest >= 0x80 {
            length.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return [number << 3 | 2] + length + [UInt8(rest)] + bytes
    }
}

private struct RuntimeHandlers: Runtime.RuntimeService.Handlers {
    var describe: Handler<Runtime.DescribeRequest, Runtime.DescribeResponse> { .parked { _ in } }
    var stats: Handler<Runtime.StatsRequest, Runtime.StatsResponse> { .parked { _ in } }
}
