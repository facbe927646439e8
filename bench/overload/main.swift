// Overload: offers a server more calls than it can carry out, whether it keeps up or not, and says what came of them.
//
//   bench-overload server ENDPOINT
//       holds one of four workers for 1 ms a call; until its standard input ends
//   bench-overload capacity ENDPOINT WORKLOAD SECONDS
//       64 calls in flight, each followed by the next: prints capacity=CALLS_PER_SECOND
//   bench-overload load ENDPOINT WORKLOAD NAME PHASE...
//       open loop, as the client NAME: a PHASE is RATE:SECONDS; prints a line a phase
//
// WORKLOAD is echo (the server above) or products (random pages of ListProducts of `orderwire serve`).
import Glibc
import Logging
import ProtoEcho
import RPC
import RPCServer

struct HeldEcho: Echo.EchoService.Handlers {
    static let heldMicroseconds: UInt32 = 1_000

    var echo: Handler<Echo.EchoRequest, Echo.EchoResponse> {
        .unary { (request, _) throws(RPCError) in
            usleep(Self.heldMicroseconds)
            return Echo.EchoResponse(payload: request.payload)
        }
    }
}

func serve(on endpoint: String) throws {
    let server = try Server(
        configuration: ServerConfiguration(listen: [endpoint], workers: 4), services: [HeldEcho()],
        logger: Logger(label: "bench-overload"))
    try server.start()
    while getchar() != EOF {}
    server.shutdown()
}

func usage() -> Never {
    let text = """
        usage: bench-overload server ENDPOINT
               bench-overload capacity ENDPOINT echo|products SECONDS
               bench-overload load ENDPOINT echo|products NAME RATE:SECONDS...

        """
    write(STDERR_FILENO, text, text.utf8.count)
    exit(64)
}

var arguments = CommandLine.arguments.dropFirst()
switch (arguments.popFirst(), arguments.popFirst()) {
case ("server", let endpoint?):
    try serve(on: endpoint)
case ("capacity", let endpoint?):
    guard let workload = arguments.popFirst().flatMap(Workload.init), let seconds = arguments.popFirst().flatMap(Double.init) else { usage() }
    let rate = try await Capacity.measure(workload, at: endpoint, seconds: seconds)
    print("capacity=\(rate)")
case ("load", let endpoint?):
    guard let workload = arguments.popFirst().flatMap(Workload.init), let name = arguments.popFirst() else { usage() }
    let phases = arguments.compactMap(Phase.init)
    guard !phases.isEmpty, phases.count == arguments.count else { usage() }
    for report in try await OpenLoop.run(workload, at: endpoint, as: name, phases) { print(report) }
default:
    usage()
}
