import Foundation
import Testing

/// One of the programs that were built with these tests, run as a person would run it.
struct Program {
    struct Outcome {
        let status: Int32
        let output: String
        let errors: String
    }

    let name: String

    static let orderwire = Program(name: "orderwire")
    static let chinookStore = Program(name: "chinook-store")

    /// Nothing that is asked of these programs takes as long.
    private static let patience = 60.0

    /// Runs it to its end.
    @discardableResult
    func run(_ arguments: String..., server: String? = nil, input: String = "") throws -> Outcome {
        let running = try start(arguments, server: server)
        running.input.fileHandleForWriting.write(Data(input.utf8))
        try running.input.fileHandleForWriting.close()
        return running.waitForEnd()
    }

    /// Starts it.
    func start(_ arguments: [String], server: String? = nil) throws -> Running {
        let process = Process()
        process.executableURL = try Self.folder().appending(path: name)
        process.arguments = arguments
        var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("ORDERWIRE_") || $0.key == "ORDERWIRE_CACHE" }
        environment["ORDERWIRE_SERVER"] = server
        // A crash is to end the process at once, not to be described for minutes.
        environment["SWIFT_BACKTRACE"] = "enable=no"
        process.environment = environment
        let running = Running(process: process)
        process.standardInput = running.input
        process.standardOutput = running.outputPipe
        process.standardError = running.errorPipe
        try process.run()
        return running
    }

    /// Where the test runner itself was built to.
    private static func folder() throws -> URL {
        let path = try #require(CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? Bundle.main.executablePath)
        return URL(filePath: path).deletingLastPathComponent()
    }

    /// A process that was started.
    final class Running: Sendable {
        let process: Process
        let input = Pipe()
        fileprivate let outputPipe = Pipe()
        fileprivate let errorPipe = Pipe()

        fileprivate init(process: Process) {
            self.process = process
        }

        /// The first line of standard output.
        func firstLine() -> String {
            var line: [UInt8] = []
            while let byte = outputPipe.fileHandleForReading.readData(ofLength: 1).first, byte != UInt8(ascii: "\n") {
                line.append(byte)
            }
            return String(decoding: line, as: UTF8.self)
        }

        func waitForEnd() -> Outcome {
            let watchdog = DispatchWorkItem { [process] in process.terminate() }
            DispatchQueue.global().asyncAfter(deadline: .now() + Program.patience, execute: watchdog)
            // Both at once: a process that fills one pipe while the other is read would wait for ever.
            nonisolated(unsafe) var errors = Data()
            let done = DispatchSemaphore(value: 0)
            DispatchQueue.global().async { [errorPipe] in
                errors = errorPipe.fileHandleForReading.readDataToEndOfFile()
                done.signal()
            }
            let output = outputPipe.fileHandleForReading.readDataToEndOfFile()
            done.wait()
            process.waitUntilExit()
            watchdog.cancel()
            return Outcome(
                status: process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus,
                output: String(decoding: output, as: UTF8.self), errors: String(decoding: errors, as: UTF8.self))
        }
    }
}
