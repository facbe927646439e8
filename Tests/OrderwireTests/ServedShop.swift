import Foundation
import Testing

/// `orderwire serve` with a MongoDB of its own, in a temporary folder that goes with it.
final class ServedShop {
    let endpoint: String
    private let folder: URL
    private var server: Program.Running

    /// Starts it. `listen` and `folder` are those of one that was killed.
    init() throws {
        folder = URL.temporaryDirectory.appending(path: "orderwire-tests-\(UUID().uuidString)")
        (server, endpoint) = try Self.serve(folder, listen: "tcp://127.0.0.1:0")
    }

    private static func serve(_ folder: URL, listen: String) throws -> (Program.Running, String) {
        let server = try Program.orderwire.start([
            "serve", "--listen", listen, "--data", folder.path(), "--events", "tcp://127.0.0.1:0", "--log-level", "error",
        ])
        let words = server.firstLine().split(separator: " ")
        try #require(words.first == "ready", "\(words)")
        return (server, String(try #require(words.last)))
    }

    /// Kills it without notice, and starts it again on the same data and port.
    func killAndRestart() throws {
        kill(server.process.processIdentifier, SIGKILL)
        _ = server.waitForEnd()
        (server, _) = try Self.serve(folder, listen: endpoint)
    }

    /// Ends it as an administrator would.
    func terminate() -> Program.Outcome {
        server.process.terminate()
        return server.waitForEnd()
    }

    deinit {
        if server.process.isRunning { _ = terminate() }
        do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) }
    }
}
