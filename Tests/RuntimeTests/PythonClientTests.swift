import Foundation
import RPCServer
import TestSupport
import Testing

/// The client in examples/python-client, written from docs/wire-protocol.md alone, talks to this server.
@Suite(.blocking, .enabled(if: PythonClient.isInstalled, "scripts/setup installs the Python tools"))
struct PythonClientTests {
    @Test func asksForHealth() throws {
        let server = try RunningServer.start()
        defer { server.stop() }
        let client = try PythonClient(server.endpoint)
        #expect(try client.line() == "SERVING")
        #expect(client.end() == .init(status: 0, errors: ""))
    }

    @Test func echoesOverARestartOfTheServer() throws {
        let server = try RunningServer.start(EchoHandlers.plain)
        let endpoint = server.endpoint
        let client = try PythonClient(endpoint, "--echo")
        #expect(try client.ask("Über ZeroMQ") == "Über ZeroMQ")
        #expect(try client.ask(String(repeating: "x", count: 60_000)).utf8.count == 60_000)
        server.stop()
        let next = try RunningServer.start(EchoHandlers.plain, listen: endpoint)
        defer { next.stop() }
        #expect(try client.ask("a new session") == "a new session")
        #expect(client.end() == .init(status: 0, errors: ""))
    }

    @Test(arguments: [
        (["--echo"], "METHOD_NOT_FOUND (code 12, disposition 1): "),
        (["--name", "Not Allowed"], "INVALID_FIELD (code 3, disposition 1): client_name: must match"),
    ])
    func hearsWhyItIsRefused(_ arguments: [String], _ message: String) throws {
        let server = try RunningServer.start()
        defer { server.stop() }
        let client = try PythonClient(server.endpoint, arguments)
        if arguments == ["--echo"] { try client.send("nobody") }
        let end = client.end()
        #expect(end.status == 1 && end.errors.hasPrefix(message), "\(end.errors)")
    }
}

/// A process that runs the Python client.
private final class PythonClient {
    struct End: Equatable {
        var status: Int32
        var errors: String
    }

    struct Ended: Error {}

    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private let errors = Pipe()
    private var unread = Data()

    private static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static let python: URL = {
        let environment = ProcessInfo.processInfo.environment
        let home = environment["HOME"] ?? "/root"
        let cache = environment["ORDERWIRE_CACHE"] ?? (environment["XDG_CACHE_HOME"] ?? home + "/.cache") + "/orderwire"
        return URL(filePath: cache + "/venv/bin/python")
    }()

    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: python.path()) }

    /// Messages for Python, made once from the .proto files.
    private static let messages = Result {
        let folder = FileManager.default.temporaryDirectory.appending(path: "orderwire-python-\(ProcessInfo.processInfo.processIdentifier)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let files = ["runtime/v1/health_service", "runtime/v1/session", "runtime/v1/status", "echo/v1/echo_service"]
        let protoc = try Process.run(
            URL(filePath: "/usr/bin/protoc"),
            arguments: ["-I", root.appending(path: "protos").path(), "--python_out=\(folder.path())"] + files.map { "orderwire/\($0).proto" })
        protoc.waitUntilExit()
        atexit { PythonClient.removeMessages() }
        return folder
    }

    private static func removeMessages() {
        if let folder = try? messages.get() { try? FileManager.default.removeItem(at: folder) }
    }

    convenience init(_ endpoint: String, _ arguments: String...) throws { try self.init(endpoint, arguments) }

    init(_ endpoint: String, _ arguments: [String]) throws {
        process.executableURL = Self.python
        process.arguments = [Self.root.appending(path: "examples/python-client/orderwire_client.py").path(), endpoint] + arguments
        process.environment = ["PYTHONPATH": try Self.messages.get().path(), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"]
        process.standardInput = input
        process.standardOutput = output
        process.standardError = errors
        try process.run()
    }

    func ask(_ line: String) throws -> String {
        try send(line)
        return try self.line()
    }

    /// Writes a line.
    func send(_ line: String) throws { try input.fileHandleForWriting.write(contentsOf: Data("\(line)\n".utf8)) }

    /// The next line that it prints.
    func line() throws -> String {
        while true {
            if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
                defer { unread = Data(unread[(end + 1)...]) }
                return String(decoding: unread[..<end], as: UTF8.self)
            }
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw Ended() }
            unread.append(more)
        }
    }

    /// Ends its input, and waits until it has ended.
    func end() -> End {
        input.fileHandleForWriting.closeFile()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return End(status: process.terminationStatus, errors: text)
    }
}
