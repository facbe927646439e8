import ProtoSchema

/// Writes the Swift of one service: its methods, a client stub, and the protocol that an implementation conforms to.
struct ServiceGenerator {
    private let service: SchemaService
    private let namespace: String
    private let names: SwiftNames

    init(_ service: SchemaService, package: String, _ names: SwiftNames) {
        self.service = service
        self.names = names
        namespace = names.namespace(ofPackage: package)
    }

    private func types(_ method: SchemaMethod) -> (request: String, response: String) {
        (names.type(ofFullName: method.request), names.type(ofFullName: method.response))
    }

    /// Writes the service's namespace, and the method table of its protocol.
    func write(_ writer: inout SourceWriter) {
        let qualifiedName = "\(namespace).\(SwiftNames.type(service.name))"
        writer.block("extension \(namespace)") { writer in
            writer.comment(service.comment, orElse: "Service `\(service.fullName)`.")
            writer.block("public enum \(SwiftNames.type(service.name))") { writer in
                writer.comment("", orElse: "Full protobuf name.")
                writer.line("public static let name = \"\(service.fullName)\"")
                for method in service.methods { writeDescriptor(method, &writer) }
                writer.line()
                writer.comment("", orElse: "All methods, for who picks one by its name.")
                let names = service.methods.map { "AnyMethod(\(SwiftNames.member($0.name)))" }
                writer.line("public static let methods: [AnyMethod] = [\(names.joined(separator: ", "))]")
                writer.line()
                writeClient(&writer)
                writer.line()
                writeHandlers(&writer)
            }
        }
        writer.line()
        writer.block("extension \(qualifiedName).Handlers") { writer in
            writer.comment("", orElse: "The .proto file of the service, after all that it imports.")
            writer.line("public var files: [FileDescriptor] { protoFiles }")
            writer.line()
            writer.comment("", orElse: "All methods of the service, each with its handler.")
            writer.block("public var registrations: [MethodRegistration]") { writer in
                writer.line("[")
                writer.indented { writer in
                    for method in service.methods {
                        let name = SwiftNames.member(method.name)
                        writer.line("MethodRegistration(\(qualifiedName).\(name), \(name)),")
                    }
                }
                writer.line("]")
            }
        }
    }

    private func writeDescriptor(_ method: SchemaMethod, _ writer: inout SourceWriter) {
        let (request, response) = types(method)
        writer.line()
        writer.comment(method.comment, orElse: "Method `\(method.name)`.")
        writer.line("public static let \(SwiftNames.member(method.name)) = MethodDescriptor<\(request), \(response)>(")
        writer.indented { writer in
            writer.line("\"\(service.fullName)/\(method.name)\", idempotency: .\(method.idempotency.rawValue))")
        }
    }

    private func writeClient(_ writer: inout SourceWriter) {
        writer.comment("", orElse: "Calls \(service.name).")
        writer.block("public struct Client: Sendable") { writer in
            writer.line("private let invoker: any CallInvoker")
            writer.line()
            writer.comment("", orElse: "A client that calls through `invoker`.")
            writer.block("public init(_ invoker: any CallInvoker)") { $0.line("self.invoker = invoker") }
            for method in service.methods {
                let (request, response) = types(method)
                let name = SwiftNames.member(method.name)
                writer.line()
                writer.comment(method.comment, orElse: "Method `\(method.name)`.")
                writer.line("public func \(name)(")
                writer.indented { $0.line("_ request: \(request), options: CallOptions = .init()") }
                writer.block(") async throws(RPCError) -> \(response)") { writer in
                    writer.line("try await invoker.call(\(SwiftNames.type(service.name)).\(name), request, options: options)")
                }
            }
        }
    }

    private func writeHandlers(_ writer: inout SourceWriter) {
        writer.comment("", orElse: "Implements \(service.name): a handler a method, which says how calls are dispatched to it.")
        writer.block("public protocol Handlers: Service") { writer in
            for method in service.methods {
                let (request, response) = types(method)
                writer.comment(method.comment, orElse: "Method `\(method.name)`.")
                writer.line("var \(SwiftNames.member(method.name)): Handler<\(request), \(response)> { get }")
            }
        }
    }
}
