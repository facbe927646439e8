import Glibc
import ProtoKeyValue
import RPC
import RPCClient

// kv get KEY | kv put KEY VALUE [VERSION]; ENDPOINT in the environment as KV_SERVER
let arguments = Array(CommandLine.arguments.dropFirst())
let endpoint = getenv("KV_SERVER").map { String(cString: $0) } ?? "tcp://127.0.0.1:7500"
let channel = try Channel(to: endpoint, name: "kv")
let store = KeyValue.KeyValueService.Client(channel)
let options = CallOptions(timeout: .seconds(2))  // in all: connecting, waiting, the disk
do throws(RPCError) {
    let entry: KeyValue.Entry?
    switch (arguments.first, arguments.count) {
    case ("get", 2): entry = try await store.get(.init(key: arguments[1]), options: options).entry
    case ("put", 3...4):
        let version = arguments.count > 3 ? Int64(arguments[3]) ?? 0 : 0
        entry = try await store.put(.init(key: arguments[1], value: arguments[2], expectedVersion: version), options: options).entry
    default:
        print("usage: kv get KEY | kv put KEY VALUE [VERSION]")
        exit(64)
    }
    print(entry?.value ?? "", "version", entry?.version ?? 0)
} catch {
    // What happened, whether the call ran, and facts for programs: error.reason, error.disposition, error.metadata.
    print(error)
    exit(1)
}
channel.close()
