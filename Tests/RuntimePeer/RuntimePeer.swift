import Glibc
import Logging
import ProtoEcho
import RPC
import RPCServer
import Synchronization
import ZeroMQ

/// The other process in tests: `runtime-peer ROLE PORT` says "ready" and plays its role until it is killed.
@main struct RuntimePeer {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3, let port = UInt16(arguments[2]) else { return say("usage: runtime-peer ROLE PORT") }
        // No orphan outlives its test, whose end of this pipe closes with it.
        let woken = Semaphore()
        let parent = SocketThread(name: "parent") {
            var byte: UInt8 = 0
            while read(STDIN_FILENO, &byte, 1) > 0 { woken.signal() }
            exit(0)
        }
        defer { parent.join() }
        switch arguments[1] {
        case "echo-server":
            try serve(port, .unary { (request, _) throws(RPCError) in Echo.EchoResponse(payload: request.payload) })
        case "holding-server":
            try serve(port, holding())
        case "router":
            try route(port)
        case "router-without-seed":
            // What libzmq does by itself: it never calls srand(3), whose default seed is 1.
            _ = Context.shared
            srand(1)
            try route(port)
        case "deaf-router":
            // Reads nothing until it is told to.
            try route(port) { woken.wait() }
        default:
            say("no such role: \(arguments[1])")
        }
    }

    private static func say(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        write(STDOUT_FILENO, bytes, bytes.count)
    }

    private struct EchoHandlers: Echo.EchoService.Handlers {
        let echo: Handler<Echo.EchoRequest, Echo.EchoResponse>
    }

    private static func serve(_ port: UInt16, _ handler: Handler<Echo.EchoRequest, Echo.EchoResponse>) throws {
        let configuration = ServerConfiguration(listen: ["tcp://127.0.0.1:\(port)"], heartbeatInterval: .milliseconds(500))
        let server = try Server(configuration: configuration, services: [EchoHandlers(echo: handler)], logger: Logger(label: "peer"))
        try server.start()
        say("ready")
        while true { pause() }
    }

    /// Keeps all calls, and says so at the twentieth.
    private static func holding() -> Handler<Echo.EchoRequest, Echo.EchoResponse> {
        final class Held: Sendable { let calls = Mutex<[ServerCall<Echo.EchoRequest, Echo.EchoResponse>]>([]) }
        let held = Held()
        return .parked { call in
            let count = held.calls.withLock { $0.append(call); return $0.count }
            if count == 20 { say("holds 20") }
        }
    }

    /// A bare ROUTER that answers every message with its last frame.
    private static func route(_ port: UInt16, beforeReading wait: () -> Void = {}) throws {
        let socket = try Socket(.router)
        try socket.bind("tcp://127.0.0.1:\(port)")
        say("ready")
        wait()
        var poller = Poller()
        _ = poller.add(socket)
        while true {
            try poller.wait(milliseconds: nil)
            let name = Frame()
            var outcome = try socket.receive(into: name)
            let frame = Frame()
            while outcome == .more { outcome = try socket.receive(into: frame) }
            if outcome == .wouldBlock { continue }
            _ = try socket.send(name, more: true)
            _ = try socket.send(frame, more: false)
        }
    }
}
