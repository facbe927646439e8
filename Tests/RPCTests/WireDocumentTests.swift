import Foundation
import ProtoRuntime
import Protobuf
import RPC
import Testing

/// docs/wire-protocol.md says what the code does: its recorded exchange is read, and written again to the same bytes.
@Suite struct WireDocumentTests {
    private let document: String

    init() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        document = try String(contentsOf: root.appending(path: "docs/wire-protocol.md"), encoding: .utf8)
    }

    /// A message of the exchange, as it is printed.
    private struct Recorded {
        var name: String
        var header: [UInt8] = []
        var tlvs: [UInt8] = []
        var payload: [UInt8] = []
    }

    private var exchange: [Recorded] {
        var messages: [Recorded] = []
        var part: WritableKeyPath<Recorded, [UInt8]> = \.header
        let block = document.components(separatedBy: "```hex\n").last?.components(separatedBy: "```").first ?? ""
        for line in block.split(separator: "\n") {
            guard line.hasPrefix(" ") else {
                messages.append(Recorded(name: line.split(separator: " ").last.map(String.init) ?? ""))
                continue
            }
            // Bytes stand in columns 13 to 59, their text behind them.
            switch line.prefix(12).trimmingCharacters(in: .whitespaces) {
            case "header": part = \.header
            case "tlvs": part = \.tlvs
            case "payload": part = \.payload
            default: break
            }
            let bytes = line.dropFirst(13).prefix(47).split(separator: " ").compactMap { UInt8($0, radix: 16) }
            messages[messages.count - 1][keyPath: part] += bytes
        }
        return messages
    }

    @Test func theExchangeShowsTheFrameTypesThatItNames() throws {
        let types: [String: FrameType] = [
            "HELLO": .hello, "HELLO_ACK": .helloAck, "REQUEST": .request, "RESPONSE": .response, "PING": .ping, "PONG": .pong,
            "PROTOCOL_ERROR": .protocolError, "BYE": .bye,
        ]
        #expect(Set(exchange.map(\.name)) == Set(types.keys))
        for message in exchange where message.header[2] == FrameHeader.version {
            let frame = message.header + message.tlvs
            let header = try frame.withUnsafeBytes { try FrameHeader($0) }
            #expect(header.type == types[message.name])
            #expect(header.bytes == message.header)
            #expect(Int(header.extensionLength) == message.tlvs.count)
        }
    }

    @Test func theExchangesOtherVersionIsRefused() throws {
        let other = try #require(exchange.first { $0.header[2] != FrameHeader.version })
        #expect(throws: FrameHeader.Defect.unsupportedVersion(9)) { try other.header.withUnsafeBytes { try FrameHeader($0) } }
    }

    @Test func theExchangesPayloadsAndTLVsAreReadAndWrittenAgain() throws {
        let messages = exchange
        let hello = try Runtime.Hello(serializedBytes: messages[0].payload)
        #expect(hello.clientName == "mailer" && hello.minVersion == 1)
        #expect(try hello.serializedBytes() == messages[0].payload)
        let ack = try Runtime.HelloAck(serializedBytes: messages[1].payload)
        #expect(ack.serverEpoch == 0xE0BC_E706 && ack.limits?.maxInFlight == 4096 && ack.heartbeatIntervalMs == 10_000)
        #expect(try ack.serializedBytes() == messages[1].payload)

        let extended = try #require(messages.first { !$0.tlvs.isEmpty })
        let extensions = try extended.tlvs.withUnsafeBytes { try HeaderExtension($0) }
        #expect(extensions.traceparent?.count == 55 && extensions.metadata.map(\.key) == ["tenant"])
        #expect(extensions.encoded() == extended.tlvs)

        let failures = try messages.filter { $0.payload.count > 60 }.map { message in
            let header = try message.header.withUnsafeBytes { try FrameHeader($0) }
            let error = message.payload.withUnsafeBytes { RPCError(header: header, payload: $0) }
            #expect(error.statusPayload() == message.payload)
            return error
        }
        #expect(failures.map(\.reason) == ["METHOD_NOT_FOUND", "MALFORMED_HEADER"])
        #expect(failures.map(\.code) == [.unimplemented, .invalidArgument])
        #expect(failures.allSatisfy { $0.disposition == .notExecuted })
    }

    @Test func theMethodIdsOfTheDocumentAreTheHashesOfTheirNames() throws {
        let rows = document.matches(of: /\| `([a-zA-Z0-9.\/]+)` \| 0x([0-9A-F]{8}) \|/)
        #expect(rows.count >= 4)
        for row in rows { #expect(MethodID.hash(of: String(row.1)) == UInt32(row.2, radix: 16)) }
    }
}
