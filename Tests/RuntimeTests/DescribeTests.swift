import Foundation
import ProtoEcho
import ProtoRuntime
import RPC
import RPCServer
import TestSupport
import Testing

/// What a server tells of its methods and messages.
@Suite struct DescribeTests {
    @Test func tellsOfEachMethodAndHowItIsDispatched() async throws {
        let policies: [(Handler<Echo.EchoRequest, Echo.EchoResponse>, Runtime.MethodInfo)] = [
            (.unary { _, _ throws(RPCError) in Echo.EchoResponse() }, .init(dispatch: .unary, maxBatchCalls: 1)),
            (
                .parked(concurrency: 3, priority: .high, maxRequestBytes: 77) { _ in },
                .init(dispatch: .parked, concurrency: 3, maxBatchCalls: 1, maxRequestBytes: 77, priority: .high)
            ),
            (
                .gathered(concurrency: 2, maxCalls: 7, maxBytes: 99) { _ in },
                .init(dispatch: .gathered, concurrency: 2, maxBatchCalls: 7, maxBatchBytes: 99)
            ),
            (.coalesced { _, _ throws(RPCError) in Echo.EchoResponse() }, .init(dispatch: .coalesced, maxBatchCalls: 1024)),
        ]
        for (handler, special) in policies {
            var expected = special
            // FNV-1a-32 of the name.
            (expected.method, expected.id, expected.idempotency) = ("orderwire.echo.v1.EchoService/Echo", 0x4342_D6CE, .noSideEffects)
            if expected.priority == .unspecified { expected.priority = .normal }
            if expected.maxRequestBytes == 0 { expected.maxRequestBytes = Int64(ServerLimits().maxRequestBytes) }
            let response = try await describe(EchoHandlers(handler))
            #expect(response.methods.first { $0.method == expected.method } == expected)
            #expect(response.methods.map(\.method) == response.methods.map(\.method).sorted())
            #expect(response.methods.count == 4, "with the runtime's own")
        }
    }

    /// Google's protobuf for Python knows nothing of ours but the answer.
    @Test(.enabled(if: Python.isInstalled, "scripts/setup installs the Python tools"))
    func pythonBuildsMessagesFromIt() async throws {
        let set = try await describe(EchoHandlers.plain).fileDescriptorSet
        let script = """
            import sys
            from google.protobuf import descriptor_pb2, descriptor_pool
            files = descriptor_pb2.FileDescriptorSet.FromString(sys.stdin.buffer.read())
            pool = descriptor_pool.DescriptorPool()
            for file in files.file:
                pool.Add(file)
                pool.FindFileByName(file.name)  # fails where something that it imports is missing
            echo = pool.FindServiceByName("orderwire.echo.v1.EchoService").methods_by_name["Echo"]
            print(echo.input_type.full_name, echo.input_type.fields_by_name["payload"].number)
            stats = pool.FindMessageTypeByName("orderwire.runtime.v1.StatsResponse")
            print(stats.fields_by_name["start_time"].message_type.full_name)
            comments = {c for f in files.file for l in f.source_code_info.location for c in [l.leading_comments.strip()] if c}
            print("The bytes to return." in comments, any("google" in f.package and f.HasField("source_code_info") for f in files.file))
            """
        let printed = try Python.run(script, input: set)
        #expect(printed == "orderwire.echo.v1.EchoRequest 1\ngoogle.protobuf.Timestamp\nTrue False\n")
    }

    private func describe(_ service: any Service) async throws -> Runtime.DescribeResponse {
        let server = try RunningServer.start(service)
        defer { server.stop() }
        let channel = try server.channel()
        defer { channel.close() }
        return try await Runtime.RuntimeService.Client(channel).describe(.init())
    }
}

/// Python with the packages that `scripts/setup` installs.
private enum Python {
    private static let program: URL = {
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["ORDERWIRE_CACHE"] ?? (environment["XDG_CACHE_HOME"] ?? (environment["HOME"] ?? "/root") + "/.cache") + "/orderwire"
        return URL(filePath: cache + "/venv/bin/python")
    }()

    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: program.path()) }

    /// What a program prints that reads `input`, which fits into a pipe.
    static func run(_ script: String, input bytes: [UInt8]) throws -> String {
        let process = Process()
        let (input, output) = (Pipe(), Pipe())
        process.executableURL = program
        process.arguments = ["-c", script]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(bytes))
        try input.fileHandleForWriting.close()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return text
    }
}
