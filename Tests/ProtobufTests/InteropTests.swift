import Foundation
import ProtoRuntime
import ProtoShop
import Protobuf
import Testing

/// Google's protobuf for Python agrees with us, in bytes and in JSON.
@Suite(.enabled(if: Judge.isInstalled, "scripts/setup installs the Python tools"))
struct InteropTests {
    private static let options = JSONOptions(anyTypes: EverythingTypes.inAny)

    /// Python's random messages: we read their bytes and their JSON alike, and Python reads ours.
    @Test func messagesFromPython() throws {
        let judge = try Judge()
        let seed = SeededGenerator.newSeed()
        for number in UInt64(0)..<60 {
            try messageFromPython(Everything.Singles.self, judge, seed + number)
            try messageFromPython(Everything.Lists.self, judge, seed + number)
            try messageFromPython(Everything.Maps.self, judge, seed + number)
            try messageFromPython(Everything.Choices.self, judge, seed + number)
            try messageFromPython(Everything.Names.self, judge, seed + number)
            try messageFromPython(Everything.Wide.self, judge, seed + number)
        }
    }

    /// Every message of protos/, both ways: Python's bytes and JSON are the same message to us, ours the same to Python; and
    /// what a newer Python adds is passed over.
    @Test func allMessagesOfOurs() throws {
        let judge = try Judge()
        let seed = SeededGenerator.newSeed()
        for number in UInt64(0)..<20 {
            for type in OurMessages.types {
                try messageFromPython(type, judge, seed + number)
                try messageFromPython(type, judge, seed + number, "newer")
            }
        }
    }

    @Test func noMessageOfProtosIsMissing() throws {
        let names = try Judge().ask("names", "orderwire.", "").split(separator: " ").map(String.init)
        let ours = OurMessages.types.map { $0.messageName }.filter { $0.hasPrefix("orderwire.") }
        #expect(Set(names.filter { !$0.hasPrefix("orderwire.everything.") }) == Set(ours))
    }

    private func messageFromPython<Value: Message>(_ type: Value.Type, _ judge: Judge, _ seed: UInt64, _ kind: String = "random") throws {
        let answer = try judge.ask(kind, Value.messageName, "\(seed)").split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
        let message = try Value(serializedBytes: try #require(Hex.decode(answer[0])))
        #expect(try Value(jsonString: String(answer[1]), options: Self.options) == message, "\(Value.messageName) seed \(seed)")
        try expectAgreement(message, judge, "seed \(seed)")
    }

    private func expectAgreement<Value: Message>(_ message: Value, _ judge: Judge, _ comment: String) throws {
        let verdict = try judge.ask(
            "check", Value.messageName, Hex.encode(message.serializedBytes()) + "\t" + message.jsonString(options: Self.options))
        #expect(verdict == "ok", "\(Value.messageName) \(comment)")
    }

    /// Our random messages: Python reads their bytes and their JSON alike, and writes the same JSON.
    @Test func messagesFromUs() throws {
        let judge = try Judge()
        let seed = SeededGenerator.newSeed()
        var random = RandomMessages(seed: seed)
        for _ in 0..<60 {
            try expectAgreement(try random.singles(), judge, "seed \(seed)")
            try expectAgreement(try random.lists(), judge, "seed \(seed)")
            try expectAgreement(random.maps(), judge, "seed \(seed)")
            try expectAgreement(try random.choices(), judge, "seed \(seed)")
        }
    }

    static let texts = [
        "{}", #"{"int32Value": 5}"#, #"{"int32_value": 5}"#, #"{"int32Value": "5"}"#, #"{"int32Value": 5.0}"#, #"{"int32Value": 1e2}"#,
        #"{"int32Value": 5.5}"#, #"{"int32Value": 2147483648}"#, #"{"int32Value": null}"#, #"{"int32Value": true}"#,
        #"{"uint64Value": "18446744073709551615"}"#, #"{"uint64Value": -1}"#, #"{"int64Value": 9223372036854775807}"#,
        #"{"boolValue": true}"#, #"{"boolValue": "true"}"#, #"{"boolValue": 1}"#, #"{"stringValue": "\ud83c\udfb8"}"#,
        #"{"stringValue": 5}"#, #"{"bytesValue": "AQI="}"#, #"{"bytesValue": "-_8"}"#, #"{"bytesValue": "+/8="}"#,
        #"{"color": "COLOR_RED"}"#, #"{"color": "COLOR_CRIMSON"}"#, #"{"color": 999}"#, #"{"color": "COLOR_NONE"}"#,
        #"{"time": "2024-02-29T12:00:00.5+01:00"}"#, #"{"time": "2023-02-29T12:00:00Z"}"#, #"{"duration": "-0.5s"}"#, #"{"duration": "1"}"#,
        #"{"nosuch": 1}"#, #"{"int32Value": 1, "int32Value": 2}"#, #"{"floatValue": "NaN"}"#, #"{"floatValue": 1e39}"#,
        #"{"doubleValue": "1.5"}"#, #"{"doubleValue": -0.25}"#, #"{"leaf": {}}"#, #"{"leaf": null}"#, "", "{",
        #"{"any": {"@type": "type.googleapis.com/orderwire.everything.v1.Leaf", "number": 3}}"#,
        #"{"any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "3s"}}"#, #"{"any": {}}"#,
    ]

    /// The same texts are taken and refused.
    @Test func textsThatPythonTakesOrRefuses() throws {
        let judge = try Judge()
        for text in Self.texts {
            let theirs = try judge.ask("parse", Everything.Singles.messageName, text)
            do {
                let ours = try Everything.Singles(jsonString: text, options: Self.options)
                #expect(try Hex.encode(ours.serializedBytes()) == theirs, "\(text)")
            } catch is JSONDecodingError {
                #expect(theirs == "error", "\(text)")
            }
        }
    }
}

/// A Python process with Google's protobuf.
final class Judge {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var unread = Data()

    private static let python: URL = {
        let environment = ProcessInfo.processInfo.environment
        let home = environment["HOME"] ?? "/root"
        let cache = environment["ORDERWIRE_CACHE"] ?? (environment["XDG_CACHE_HOME"] ?? home + "/.cache") + "/orderwire"
        return URL(filePath: cache + "/venv/bin/python")
    }()

    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: python.path()) }

    init() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
        let root = folder.deletingLastPathComponent().deletingLastPathComponent().path()
        process.executableURL = Self.python
        process.arguments = [
            folder.appending(path: "interop.py").path(), root, "orderwire/everything/v1/everything.proto",
        ] + (try Self.protoFiles(in: root + "/protos"))
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    /// All of them, by their paths below the folder.
    private static func protoFiles(in folder: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: folder).filter { $0.hasSuffix(".proto") }
    }

    deinit {
        // The end of its input ends it.
        input.fileHandleForWriting.closeFile()
        process.waitUntilExit()
    }

    func ask(_ command: String, _ type: String, _ rest: String) throws -> String {
        try input.fileHandleForWriting.write(contentsOf: Data("\(command)\t\(type)\t\(rest)\n".utf8))
        while true {
            if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
                defer { unread = Data(unread[(end + 1)...]) }
                return String(decoding: unread[..<end], as: UTF8.self)
            }
            let more = output.fileHandleForReading.availableData
            try #require(!more.isEmpty, "Python ended; its reason is above")
            unread += more
        }
    }
}

/// Bytes as hexadecimal digits.
enum Hex {
    static func encode(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    static func decode(_ text: Substring) -> [UInt8]? {
        let digits = Array(text)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(digits[index...index + 1]), radix: 16) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
