import EmbeddedMongoDB
import FoundationEssentials
import Glibc
import RPC
import RPCClient
import Synchronization
import TestSupport
import Testing

/// The program under test, as its users run it.
enum Program {
    static let path = beside("orderwire")
    /// The program of the demo.
    static let chinookStore = beside("chinook-store")

    /// Our programs lie beside that of the tests.
    private static func beside(_ name: String) -> String {
        let tests = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        return tests.deletingLastPathComponent().appending(path: name).path
    }

    /// What a run of it came to.
    struct Result: Sendable {
        var end: ChildProcess.End
        var output: String
        var errors: String

        var lines: [Substring] { output.split(separator: "\n", omittingEmptySubsequences: true) }
    }

    /// Runs a verb to its end.
    static func run(
        _ arguments: [String], of program: String = path, environment: [String: String] = [:], input: String = ""
    ) async throws -> Result {
        let process = try await ChildProcess.start(program, arguments, environment: environment, input: input)
        let end = await process.ended()
        return await Result(end: end, output: process.output.text(), errors: process.errors.text())
    }
}

/// `orderwire serve`, running.
final class ServerProcess: Sendable {
    enum Database: Sendable {
        case embedded(folder: String)
        case external(uri: String)

        fileprivate var arguments: [String] {
            switch self {
            case .embedded(let folder): ["--mongodb", "embedded", "--data", folder]
            case .external(let uri): ["--mongodb", uri]
            }
        }
    }

    struct NotReady: Error { var log: String }

    let process: ChildProcess
    let endpoint: String
    /// Where its MongoDB is.
    let mongodb: String
    /// Its own mongod, if it has one.
    let mongodPID: pid_t?

    private init(_ process: ChildProcess, endpoint: String, mongodb: String, mongodPID: pid_t?) {
        self.process = process
        self.endpoint = endpoint
        self.mongodb = mongodb
        self.mongodPID = mongodPID
    }

    /// An endpoint for the servers of one test, one after another.
    static func freeEndpoint() -> String { "tcp://127.0.0.1:\(PortPicker.free())" }

    /// Starts a server and returns when it says that it is ready. It is held to its accounts at the end of its test.
    ///
    /// - Parameter fault: what is to go wrong with it: `FaultPoint` and `Flaw` in `Sources/Shop`.
    static func start(_ database: Database, at endpoint: String = freeEndpoint(), fault: String = "") async throws -> ServerProcess {
        let server = try await launch(database, at: endpoint, fault)
        Accounts.open.withLock { $0.append(server) }
        return server
    }

    /// Starts a server that is to die before it is ready, and returns how it ended.
    static func dies(_ database: Database, at endpoint: String, fault: String) async throws -> ChildProcess.End {
        try await process(database, at: endpoint, fault).ended()
    }

    private static func process(_ database: Database, at endpoint: String, _ fault: String) async throws -> ChildProcess {
        let arguments = ["serve", "--listen", endpoint, "--events", "tcp://127.0.0.1:0"] + database.arguments
        return try await ChildProcess.start(Program.path, arguments, environment: fault.isEmpty ? [:] : ["ORDERWIRE_FAULT": fault])
    }

    private static func launch(_ database: Database, at endpoint: String, _ fault: String) async throws -> ServerProcess {
        let process = try await process(database, at: endpoint, fault)
        guard await process.nextLine() == "ready \(endpoint)" else {
            process.signal(SIGKILL)
            throw NotReady(log: await process.errors.text())
        }
        switch database {
        case .external(let uri): return ServerProcess(process, endpoint: endpoint, mongodb: uri, mongodPID: nil)
        case .embedded:
            let log = LogLine.all(in: process.errors.soFar)
            guard let line = log.first(where: { $0.message == "MongoDB runs" }), let port = line.port, let pid = line.pid.flatMap(pid_t.init)
            else { throw NotReady(log: process.errors.soFar) }
            return ServerProcess(
                process, endpoint: endpoint, mongodb: "mongodb://127.0.0.1:\(port)/?directConnection=true", mongodPID: pid)
        }
    }

    /// Runs `body` beside a server that is gone afterwards, killed if need be.
    static func with<Result>(
        _ database: Database, at endpoint: String = freeEndpoint(), _ body: (ServerProcess) async throws -> Result
    ) async throws -> Result {
        let server = try await start(database, at: endpoint)
        do {
            let result = try await body(server)
            await server.kill()
            return result
        } catch {
            await server.kill()
            throw error
        }
    }

    /// Kills it without notice, once it has accounted for its calls. When this returns it is gone, and its mongod with it.
    func kill() async {
        if process.isRunning { await expectNothingLost() }
        await killAtOnce()
    }

    /// Kills it in the middle of its work. When this returns it is gone, and its mongod with it.
    func killAtOnce() async {
        let mongod = ForeignProcess(mongodPID)
        process.signal(SIGKILL)
        _ = await process.ended()
        let isMongodGone = mongod?.ends(within: .seconds(30)) ?? true
        #expect(isMongodGone, "the mongod outlives its killed server")
    }

    /// A client; who makes it closes it.
    func channel(_ name: String = "tester") throws -> Channel { try Channel(to: endpoint, name: name) }

    /// Runs `body` with a client of its own.
    func withChannel<Result>(_ name: String = "tester", _ body: (Channel) async throws -> Result) async throws -> Result {
        let channel = try channel(name)
        defer { channel.close() }
        return try await body(channel)
    }
}

/// What the tests need of a line of the server's log.
private struct LogLine: Decodable {
    var message: String
    var pid: String?
    var port: String?

    private enum CodingKeys: String, CodingKey {
        case message
        case pid = "process.pid"
        case port = "server.port"
    }

    static func all(in log: String) -> [LogLine] {
        log.split(separator: "\n").compactMap { try? JSONDecoder().decode(LogLine.self, from: Data($0.utf8)) }
    }
}

/// A folder that is gone after `body`.
func withTemporaryFolder<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    var name = Array("/tmp/orderwire-e2e.XXXXXX".utf8CString)
    guard mkdtemp(&name) != nil else { throw POSIXFailure(number: errno) }
    let folder = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try await body(folder)
}

struct POSIXFailure: Error { var number: Int32 }

/// A MongoDB that outlives the servers of a test, and is gone after `body`.
func withMongod<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let mongod = try EmbeddedMongod.start()
    defer { mongod.discard() }
    return try await body(mongod.uri)
}

/// A MongoDB of a test's own, which outlives its servers.
func withTemporaryMongod<Result>(_ body: (ServerProcess.Database) async throws -> Result) async throws -> Result {
    try await withMongod { try await body(.external(uri: $0)) }
}
