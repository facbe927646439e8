import TestSupport
import Testing

extension EndToEnd {
    /// The program of the demo, which submits the Chinook store's invoices as their customers' clients would.
    @Suite struct ReplayTests {
        /// 59 clients at once, killed in the middle, restarted: the clients repeat what has no answer.
        @Test func survivesAKillOfItsServer() async throws {
            try await withTemporaryFolder { folder in
                let fixture = chinookFixturePath()
                var server = try await ServerProcess.start(.embedded(folder: folder))
                let shell = Shell(server)
                let imported = try await shell.run("products", "import", fixture, "--stock", "1000")
                #expect(imported.output == "3503 inserted, 0 replaced, 0 refused\n", "\(imported.errors)")

                let watcher = try await shell.start(
                    "orders", "watch", "--group", "first", "--filter", "all", "--after", "0", "--count", "40")
                let arguments = ["replay", fixture, "--server", server.endpoint]
                let replay = try await ChildProcess.start(Program.chinookStore, arguments)
                // The first forty orders are final: the rest is on its way.
                #expect(await watcher.ended() == .exited(0))
                await server.kill()
                server = try await ServerProcess.start(.embedded(folder: folder), at: server.endpoint)

                let end = await replay.ended()
                let output = await replay.output.text()
                #expect(end == .exited(0))
                #expect(output == "412 accepted, 412 fulfilled, 0 rejected, 412 notified, revenue 2328.60 USD\n")
                let again = try await Program.run(arguments, of: Program.chinookStore)
                #expect(again.output == output)
                await server.kill()
            }
        }
    }
}
