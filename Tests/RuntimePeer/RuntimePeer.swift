import Glibc
import Logging
import ProtoEcho
import RPC
import RPCServer
import Synchronization
import ZeroMQ

/// The other process in tests: `runtime-peer ROLE PORT` says "ready" and plays its role until it is killed. Servers drain
/// and end at SIGTERM.
@main struct RuntimePeer {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3, let port = UInt16(arguments[2]) else { return say("usage: runtime-peer ROLE PORT") }
        // Before the first thread, which passes it on to all others.
        pthread_sigmask(SIG_BLOCK, &stopSignals, nil)
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
        case "stuck-server":
            try serveStuck(port)
        case "router":
            try route(port)
        case "router-without-seed":
            // What libzmq does by itself: it never calls srand(3), whose default seed is 1.
            _ = Context.shared
            srand(1)
            try route(port)
        case "start-and-stop":
            say("ready")
            try startAndStop(port)
        case "leaver":
            say("ready")
            try leave()
        case "monitored-router":
            try route(port, isMonitored: true)
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
        var number: Int32 = 0
        sigwait(&stopSignals, &number)
        server.shutdown()
        exit(0)
    }

    nonisolated(unsafe) private static var stopSignals: sigset_t = {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        return signals
    }()

    /// Its handler never returns. Ends, with status 0, as `orderwire serve` does after SIGTERM.
    private static func serveStuck(_ port: UInt16) throws {
        var stop = sigset_t()
        sigemptyset(&stop)
        sigaddset(&stop, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &stop, nil)
        let configuration = ServerConfiguration(listen: ["tcp://127.0.0.1:\(port)"])
        let handlers = EchoHandlers(echo: .unary { (_, _) throws(RPCError) -> Echo.EchoResponse in
            say("stuck")
            while true { pause() }
        })
        let server = try Server(configuration: configuration, services: [handlers], logger: Logger(label: "peer"))
        try server.start()
        say("ready")
        var signal: Int32 = 0
        sigwait(&stop, &signal)
        server.shutdown()
        exit(0)
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

    /// Starts and stops a server, with a channel of events and a call that is answered too late, again and again. Says how
    /// many descriptors and threads there were after the first turn and after the last.
    private static func startAndStop(_ port: UInt16) throws {
        var counts: [Int] = []
        for turn in 0..<30 {
            let held = Mutex<[ServerCall<Echo.EchoRequest, Echo.EchoResponse>]>([])
            let configuration = ServerConfiguration(listen: ["tcp://127.0.0.1:\(port)"], drainTimeout: .milliseconds(20))
            let handlers = EchoHandlers(echo: .parked { call in held.withLock { $0.append(call) } })
            let server = try Server(configuration: configuration, services: [handlers], logger: Logger(label: "peer"))
            try server.start()
            let publisher = EventPublisher(endpoints: EventEndpoints(ports: (port + 1)...(port + 20)))
            do throws(RPCError) {
                _ = try publisher.open(member: "m", token: "t")
            } catch {
                // Others use these ports, too: it is the server that matters.
            }
            publisher.close()
            server.shutdown()
            held.withLock { calls in
                for call in calls { call.reply(Echo.EchoResponse()) }
                calls = []
            }
            if turn == 0 || turn == 29 { counts += [count("/proc/self/fd"), count("/proc/self/task")] }
        }
        say(counts.map { "\($0)" }.joined(separator: " "))
    }

    /// Lets go of sockets that have something to send and nobody to send it to. Says how many descriptors there were before,
    /// and how many there are once libzmq has closed what it will.
    private static func leave() throws {
        _ = try Socket(.dealer)
        let before = count("/proc/self/fd")
        for _ in 0..<200 {
            let socket = try Socket(.dealer)
            // Discard: nobody listens there.
            try socket.connect("tcp://127.0.0.1:9")
            _ = try socket.send(Frame(copying: [UInt8](repeating: 1, count: 1000)), more: false)
        }
        let deadline = Deadline.after(.seconds(5))
        while count("/proc/self/fd") > before + 10, !deadline.hasPassed { usleep(10_000) }
        say("\(before) \(count("/proc/self/fd"))")
    }

    private static func count(_ folder: String) -> Int {
        guard let directory = opendir(folder) else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        return count
    }

    /// A bare ROUTER that answers every message with its last frame.
    private static func route(_ port: UInt16, isMonitored: Bool = false, beforeReading wait: () -> Void = {}) throws {
        let socket = try Socket(.router)
        try socket.bind("tcp://127.0.0.1:\(port)")
        // All events, for nobody.
        if isMonitored { try socket.monitor(on: "inproc://unread", events: ConnectionEvents(rawValue: 0xFFFF)) }
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
