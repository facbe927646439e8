import EmbeddedMongoDB
import Foundation
import RPC
import TestSupport

/// The program `runtime-peer` as a child: a victim, or a server that can be stopped and killed.
final class PeerProcess: Sendable {
    let port: UInt16
    var endpoint: String { "tcp://127.0.0.1:\(port)" }

    private let process = Process()
    private let output = Pipe()
    /// The child ends once it is closed, by whatever end of this process.
    private let input = Pipe()

    struct Silent: Error {}

    /// Starts it, and waits until it says that it is ready.
    init(_ role: String, port: UInt16 = PortPicker.free()) throws {
        self.port = port
        // It lies beside the test program.
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "runtime-peer")
        process.arguments = [role, "\(port)"]
        process.standardOutput = output
        process.standardInput = input
        process.standardError = FileHandle.nullDevice
        // A crash is what is tested: nobody is to wait for its backtrace.
        let sanitizer = ProcessInfo.processInfo.environment.filter { ["TSAN_OPTIONS", "LD_PRELOAD"].contains($0.key) }
        process.environment = sanitizer.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
        try process.run()
        guard try readLine() == "ready" else { throw Silent() }
    }

    /// The next line that it says; nil at its end.
    func readLine() throws -> String? {
        var line: [UInt8] = []
        while let byte = try output.fileHandleForReading.read(upToCount: 1)?.first {
            if byte == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
            line.append(byte)
        }
        return line.isEmpty ? nil : String(decoding: line, as: UTF8.self)
    }

    /// Tells a deaf one to listen.
    func wake() throws { try input.fileHandleForWriting.write(contentsOf: [10]) }

    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Lets it stand still: every thread of it does when this returns.
    func stopAllThreads() throws { try TestSupport.stopAllThreads(of: process.processIdentifier) }

    /// Resident memory in KiB.
    var residentKilobytes: Int {
        let text = (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return line.flatMap { $0.split(whereSeparator: { !$0.isNumber }).first }.flatMap { Int($0) } ?? 0
    }

    /// Kills it where it still runs, and returns the signal that it ended by, 0 for none.
    @discardableResult func end() -> Int32 {
        if process.isRunning { signal(SIGKILL) }
        process.waitUntilExit()
        return process.terminationReason == .uncaughtSignal ? process.terminationStatus : 0
    }

    /// Waits for its own end, and returns the signal that it ended by, 0 for none.
    func wait() -> Int32 {
        process.waitUntilExit()
        return process.terminationReason == .uncaughtSignal ? process.terminationStatus : 0
    }

    /// Waits for its own end, and returns its exit status; nil where a signal ended it.
    func waitForStatus() -> Int32? {
        process.waitUntilExit()
        return process.terminationReason == .exit ? process.terminationStatus : nil
    }

    var isRunning: Bool { process.isRunning }
}

/// Runs a program and returns what it writes.
@discardableResult func run(_ program: String, _ arguments: String...) throws -> String {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [program] + arguments
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return text
}
