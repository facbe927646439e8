import Glibc
import RPCServer

// kv-server FILE [ENDPOINT]
let arguments = CommandLine.arguments
guard arguments.count >= 2 else {
    print("usage: kv-server FILE [ENDPOINT]")
    exit(64)
}
var stop = sigset_t()
sigemptyset(&stop)
sigaddset(&stop, SIGTERM)
sigaddset(&stop, SIGINT)
pthread_sigmask(SIG_BLOCK, &stop, nil)  // before there are other threads, which inherit it

let store = try KeyValueStore(path: arguments[1])
let server = try Server(
    configuration: .init(listen: [arguments.count > 2 ? arguments[2] : "tcp://127.0.0.1:7500"]), services: [store])
try server.start()
print("ready", server.endpoints[0])
fflush(nil)

var signal: Int32 = 0
sigwait(&stop, &signal)
server.shutdown()  // lets calls in flight end
