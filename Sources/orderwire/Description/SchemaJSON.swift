import ProtoSchema

/// Things of .proto files as JSON, for programs.
extension JSONValue {
    private static func named(_ kind: String, _ name: String, _ comment: String, _ rest: [(key: String, value: JSONValue)]) -> JSONValue {
        .object([("kind", .string(kind)), ("name", .string(name))] + commented(comment) + rest)
    }

    private static func commented(_ comment: String) -> [(key: String, value: JSONValue)] {
        comment.isEmpty ? [] : [("comment", .string(comment))]
    }

    init(_ service: SchemaService) {
        self = .named("service", service.fullName, service.comment, [
            ("methods", .array(service.methods.map { JSONValue($0, of: service) }))
        ])
    }

    init(_ method: SchemaMethod, of service: SchemaService) {
        let level = switch method.idempotency {
        case .unknown: "IDEMPOTENCY_UNKNOWN"
        case .noSideEffects: "NO_SIDE_EFFECTS"
        case .idempotent: "IDEMPOTENT"
        }
        self = .named("method", "\(service.fullName)/\(method.name)", method.comment, [
            ("request", .string(method.request)), ("response", .string(method.response)), ("idempotencyLevel", .string(level)),
        ])
    }

    init(_ message: SchemaMessage) {
        let fields = message.fields.map { field in
            var members: [(key: String, value: JSONValue)] = [
                ("name", .string(field.name)), ("jsonName", .string(field.jsonName)), ("number", .number(Int(field.number))),
                ("type", .string(ProtoText.type(field.kind))),
            ]
            if let oneof = field.oneof, message.oneofs.indices.contains(oneof) {
                members.append(("oneof", .string(message.oneofs[oneof].name)))
            }
            return JSONValue.object(members + Self.commented(field.comment))
        }
        self = .named("message", message.fullName, message.comment, [("fields", .array(fields))])
    }

    init(_ value: SchemaEnum) {
        let values = value.values.map { value in
            JSONValue.object([("name", .string(value.name)), ("number", .number(Int(value.number)))] + Self.commented(value.comment))
        }
        self = .named("enum", value.fullName, value.comment, [("values", .array(values))])
    }
}
