/// What `--orderwire_opt=KEY=VALUE,...` says.
struct Parameters {
    /// What to generate.
    enum Part: String, CaseIterable {
        case all, messages, services
    }

    /// The C module with protoc-c's output for the same .proto files.
    var cModule = "CProto"
    /// Swift modules with the types of imported .proto files.
    var imports: [String] = []
    /// The Swift module with the RPC types; empty where the generated code is part of it.
    var rpcModule = "RPC"
    var part = Part.all
    /// Swift names of protobuf packages whose default does not fit.
    var namespaces: [String: String] = ["google.protobuf": "WellKnown"]

    /// Reads protoc's parameter string.
    init(parsing text: String) throws(PluginError) {
        for item in text.split(separator: ",") {
            let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = pair.count == 2 ? String(pair[1]) : ""
            switch pair[0] {
            case "c_module": cModule = value
            case "import": imports.append(value)
            case "rpc_module": rpcModule = value
            case "generate":
                guard let part = Part(rawValue: value) else {
                    throw PluginError("generate=\(value)", "is none of all, messages, services")
                }
                self.part = part
            case "namespace":
                let parts = value.split(separator: ":")
                guard parts.count == 2 else { throw PluginError("namespace=\(value)", "is not PACKAGE:NAME") }
                namespaces[String(parts[0])] = String(parts[1])
            default:
                throw PluginError(
                    String(item), "unknown parameter; there are c_module, import, rpc_module, generate, namespace")
            }
        }
    }
}
