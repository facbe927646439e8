import Foundation

/// The Python side: the client of clients/python and its tests, with the Python that `scripts/setup` installed.
final class Python {
    static let isInstalled: Bool = {
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["ORDERWIRE_CACHE"]
            ?? (environment["XDG_CACHE_HOME"] ?? (environment["HOME"] ?? "/root") + "/.cache") + "/orderwire"
        return FileManager.default.isExecutableFile(atPath: cache + "/venv/bin/python")
    }()

    private static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Names of the files with its tests.
    static var testModules: [String] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "clients/python/tests").path())
                .filter { $0.hasPrefix("test_") && $0.hasSuffix(".py") }.map { String($0.dropLast(3)) }.sorted()
        }
    }

    private let process = Process()
    /// Closed with this process, whatever its end: a Python that serves ends then.
    private let input = Pipe()
    private let output = Pipe()

    struct NotReady: Error { var said: String }

    /// Starts `clients/python/tests/run` with these arguments.
    init(_ arguments: [String]) throws {
        process.executableURL = URL(filePath: "/usr/bin/timeout")
        process.arguments = ["-k", "5", "240", Self.root.appending(path: "clients/python/tests/run").path()] + arguments
        let programs = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path()
        process.environment = ProcessInfo.processInfo.environment.merging(["ORDERWIRE_PROGRAMS": programs]) { $1 }
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
    }

    /// What it says until its end, and its exit status.
    func end() -> (status: Int32, said: String) {
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, said)
    }

    /// Waits until it says "ready".
    func waitUntilReady() throws {
        var said = ""
        while !said.hasSuffix("ready\n") {
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw NotReady(said: said) }
            said += String(decoding: more, as: UTF8.self)
        }
    }

    /// Ends one that serves.
    func stop() {
        input.fileHandleForWriting.closeFile()
        process.waitUntilExit()
    }
}
