import ProtoRuntime
import ProtoSchema
import Protobuf
import RPC

/// What a server told about its methods and messages.
struct ServerDescription {
    /// Something that has a name.
    enum Entry {
        case service(SchemaService)
        case method(SchemaMethod, of: SchemaService)
        case message(SchemaMessage)
        case enumeration(SchemaEnum)
    }

    /// How the server carries out its methods, sorted by name.
    let methods: [Runtime.MethodInfo]
    /// Everything that has a name, in the order of the files.
    let entries: [(fullName: String, value: Entry)]

    /// Asks the server.
    init(_ connection: Connection) async throws(RPCError) {
        let response = try await connection.runtime.describe(.init(), options: connection.callOptions)
        do throws(DecodingError) {
            try self.init(response)
        } catch {
            throw RPCError(
                .internalError, reason: "MALFORMED_RESPONSE", "the server's description of its files cannot be read: \(error)")
        }
    }

    /// Reads what a server told. It may be a hostile one.
    init(_ response: Runtime.DescribeResponse) throws(DecodingError) {
        methods = response.methods
        entries = try SchemaFile.read(fileDescriptorSet: response.fileDescriptorSet).flatMap(Self.entries)
    }

    private static func entries(_ file: SchemaFile) -> [(fullName: String, value: Entry)] {
        let services = file.services.flatMap { service -> [(fullName: String, value: Entry)] in
            [(service.fullName, .service(service))]
                + service.methods.map { ("\(service.fullName)/\($0.name)", .method($0, of: service)) }
        }
        return services + entries(file.messages, file.enums)
    }

    private static func entries(_ messages: [SchemaMessage], _ enums: [SchemaEnum]) -> [(fullName: String, value: Entry)] {
        messages.flatMap { [($0.fullName, .message($0))] + entries($0.messages, $0.enums) }
            + enums.map { ($0.fullName, .enumeration($0)) }
    }

    /// The services, by name.
    var services: [(fullName: String, value: SchemaService)] {
        entries.compactMap { entry in
            if case .service(let service) = entry.value { (entry.fullName, service) } else { nil }
        }
    }

    /// How the server carries out a method.
    func method(_ fullName: String) -> Runtime.MethodInfo? { methods.first { $0.method == fullName } }

    /// The message or enum of this full name.
    func type(_ fullName: String) -> Entry? { entries.first { $0.fullName == fullName }?.value }

    /// The entries as a .proto file has them, for people.
    func text(of entries: [Entry], width: Int?, hasColour: Bool) -> String {
        var text = ProtoText(width: width, hasColour: hasColour)
        for entry in entries {
            text.gap()
            switch entry {
            case .service(let service): text.write(service)
            case .method(let method, let service): text.write(method, of: service, self.method("\(service.fullName)/\(method.name)"))
            case .message(let message): text.write(message)
            case .enumeration(let value): text.write(value)
            }
        }
        return text.text
    }
}

extension ServerDescription.Entry {
    /// For programs.
    var json: JSONValue {
        switch self {
        case .service(let service): JSONValue(service)
        case .method(let method, let service): JSONValue(method, of: service)
        case .message(let message): JSONValue(message)
        case .enumeration(let value): JSONValue(value)
        }
    }
}
