import CProto

/// Turns protoc's description of a .proto file, as protobuf-c structs, into a `SchemaFile`. Refuses what protobuf-c cannot do.
struct SchemaReader {
    private typealias CMessage = Google__Protobuf__DescriptorProto
    private typealias CField = Google__Protobuf__FieldDescriptorProto
    private typealias CEnum = Google__Protobuf__EnumDescriptorProto

    private let file: UnsafeMutablePointer<Google__Protobuf__FileDescriptorProto>
    private let comments: Comments

    /// Reads one file. `isGenerated` files must be ones that protobuf-c can do; of the others only names matter.
    static func read(
        _ file: UnsafeMutablePointer<Google__Protobuf__FileDescriptorProto>, isGenerated: Bool
    ) throws(PluginError) -> SchemaFile {
        let reader = SchemaReader(file: file, comments: Comments(file.pointee.source_code_info))
        let package = text(file.pointee.package)
        let name = text(file.pointee.name)
        if isGenerated {
            guard text(file.pointee.syntax) == "proto3" else { throw PluginError(name, "only syntax proto3 is supported") }
            guard !package.isEmpty else { throw PluginError(name, "has no package, from which the Swift namespace follows") }
        }
        var schema = SchemaFile(name: name, package: package)
        for (index, message) in elements(file.pointee.message_type, file.pointee.n_message_type).enumerated() {
            schema.messages.append(try reader.message(message, parent: package, path: [4, Int32(index)]))
        }
        for (index, value) in elements(file.pointee.enum_type, file.pointee.n_enum_type).enumerated() {
            schema.enums.append(reader.enumeration(value, parent: package, path: [5, Int32(index)]))
        }
        if isGenerated {
            for (index, service) in elements(file.pointee.service, file.pointee.n_service).enumerated() {
                schema.services.append(try reader.service(service, parent: package, path: [6, Int32(index)]))
            }
        }
        return schema
    }

    // MARK: - Messages

    private func message(
        _ message: UnsafeMutablePointer<CMessage>, parent: String, path: [Int32]
    ) throws(PluginError) -> SchemaMessage {
        let fullName = qualified(parent, text(message.pointee.name))
        var schema = SchemaMessage(name: text(message.pointee.name), fullName: fullName, comment: comments[path])
        var entries: [String: UnsafeMutablePointer<CMessage>] = [:]
        for (index, nested) in elements(message.pointee.nested_type, message.pointee.n_nested_type).enumerated() {
            if nested.pointee.options?.pointee.map_entry == 1 {
                entries[qualified(fullName, text(nested.pointee.name))] = nested
            } else {
                schema.messages.append(try self.message(nested, parent: fullName, path: path + [3, Int32(index)]))
            }
        }
        for (index, value) in elements(message.pointee.enum_type, message.pointee.n_enum_type).enumerated() {
            schema.enums.append(enumeration(value, parent: fullName, path: path + [4, Int32(index)]))
        }
        for (index, field) in elements(message.pointee.field, message.pointee.n_field).enumerated() {
            schema.fields.append(try self.field(field, entries, of: fullName, comments[path + [2, Int32(index)]]))
        }
        schema.fields.sort { $0.number < $1.number }
        for (index, oneof) in elements(message.pointee.oneof_decl, message.pointee.n_oneof_decl).enumerated() {
            let name = text(oneof.pointee.name)
            schema.oneofs.append(
                SchemaOneof(name: name, fullName: qualified(fullName, name), comment: comments[path + [8, Int32(index)]]))
        }
        return schema
    }

    private func field(
        _ field: UnsafeMutablePointer<CField>, _ entries: [String: UnsafeMutablePointer<CMessage>], of message: String,
        _ comment: String
    ) throws(PluginError) -> SchemaField {
        let type = try type(of: field, in: message)
        var kind = SchemaField.Kind.singular(type)
        if field.pointee.label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED {
            kind = .repeated(type)
            if case .message(let name) = type, let entry = entries[name] {
                let parts = elements(entry.pointee.field, entry.pointee.n_field)
                kind = .map(
                    key: try self.type(of: parts[0], in: name), value: try self.type(of: parts[1], in: name),
                    entryFullName: name)
            }
        }
        return SchemaField(
            name: text(field.pointee.name), number: field.pointee.number, comment: comment,
            jsonName: text(field.pointee.json_name), kind: kind,
            oneof: field.pointee.has_oneof_index != 0 ? Int(field.pointee.oneof_index) : nil)
    }

    private func type(of field: UnsafeMutablePointer<CField>, in message: String) throws(PluginError) -> FieldType {
        let typeName = String(text(field.pointee.type_name).drop { $0 == "." })
        switch field.pointee.type.rawValue {
        case 1: return .number("Double")
        case 2: return .number("Float")
        case 3, 16, 18: return .number("Int64")
        case 4, 6: return .number("UInt64")
        case 5, 15, 17: return .number("Int32")
        case 7, 13: return .number("UInt32")
        case 8: return .bool
        case 9: return .string
        case 11: return .message(typeName)
        case 12: return .bytes
        case 14: return .enumeration(typeName)
        default: throw PluginError("\(message).\(text(field.pointee.name))", "groups are not supported")
        }
    }

    // MARK: - Enums and services

    private func enumeration(_ value: UnsafeMutablePointer<CEnum>, parent: String, path: [Int32]) -> SchemaEnum {
        let values = elements(value.pointee.value, value.pointee.n_value).enumerated().map { index, value in
            SchemaEnumValue(
                name: text(value.pointee.name), number: value.pointee.number, comment: comments[path + [2, Int32(index)]])
        }
        let name = text(value.pointee.name)
        return SchemaEnum(name: name, fullName: qualified(parent, name), comment: comments[path], values: values)
    }

    private func service(
        _ service: UnsafeMutablePointer<Google__Protobuf__ServiceDescriptorProto>, parent: String, path: [Int32]
    ) throws(PluginError) -> SchemaService {
        let name = text(service.pointee.name)
        var schema = SchemaService(name: name, fullName: qualified(parent, name), comment: comments[path])
        for (index, method) in elements(service.pointee.method, service.pointee.n_method).enumerated() {
            let methodName = text(method.pointee.name)
            guard method.pointee.client_streaming == 0, method.pointee.server_streaming == 0 else {
                throw PluginError("\(schema.fullName).\(methodName)", "streaming is not supported")
            }
            schema.methods.append(
                SchemaMethod(
                    name: methodName, comment: comments[path + [2, Int32(index)]],
                    request: String(text(method.pointee.input_type).drop { $0 == "." }),
                    response: String(text(method.pointee.output_type).drop { $0 == "." }),
                    idempotency: Self.idempotency(method.pointee.options)))
        }
        return schema
    }

    private static func idempotency(
        _ options: UnsafeMutablePointer<Google__Protobuf__MethodOptions>?
    ) -> SchemaMethod.Idempotency {
        switch options?.pointee.idempotency_level {
        case GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__NO_SIDE_EFFECTS: .noSideEffects
        case GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__IDEMPOTENT: .idempotent
        default: .unknown
        }
    }
}
