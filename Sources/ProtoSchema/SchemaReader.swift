package import CProto

/// Turns protoc's description of a .proto file, as protobuf-c structs, into a `SchemaFile`.
package struct SchemaReader {
    private typealias CMessage = Google__Protobuf__DescriptorProto
    private typealias CField = Google__Protobuf__FieldDescriptorProto
    private typealias CEnum = Google__Protobuf__EnumDescriptorProto

    private let comments: Comments

    /// Reads one file. The structs are only read from.
    package static func read(_ file: UnsafePointer<Google__Protobuf__FileDescriptorProto>) -> SchemaFile {
        let reader = SchemaReader(comments: Comments(file.pointee.source_code_info))
        let package = text(file.pointee.package)
        let syntax = text(file.pointee.syntax)
        var schema = SchemaFile(name: text(file.pointee.name), package: package, syntax: syntax.isEmpty ? "proto2" : syntax)
        for (index, message) in elements(file.pointee.message_type, file.pointee.n_message_type).enumerated() {
            schema.messages.append(reader.message(message, parent: package, path: [4, Int32(index)]))
        }
        for (index, value) in elements(file.pointee.enum_type, file.pointee.n_enum_type).enumerated() {
            schema.enums.append(reader.enumeration(value, parent: package, path: [5, Int32(index)]))
        }
        for (index, service) in elements(file.pointee.service, file.pointee.n_service).enumerated() {
            schema.services.append(reader.service(service, parent: package, path: [6, Int32(index)]))
        }
        return schema
    }

    // MARK: - Messages

    private func message(_ message: UnsafeMutablePointer<CMessage>, parent: String, path: [Int32]) -> SchemaMessage {
        let fullName = qualified(parent, text(message.pointee.name))
        var schema = SchemaMessage(name: text(message.pointee.name), fullName: fullName, comment: comments[path])
        var entries: [String: UnsafeMutablePointer<CMessage>] = [:]
        for (index, nested) in elements(message.pointee.nested_type, message.pointee.n_nested_type).enumerated() {
            if nested.pointee.options?.pointee.map_entry == 1, nested.pointee.n_field == 2 {
                entries[qualified(fullName, text(nested.pointee.name))] = nested
            } else {
                schema.messages.append(self.message(nested, parent: fullName, path: path + [3, Int32(index)]))
            }
        }
        for (index, value) in elements(message.pointee.enum_type, message.pointee.n_enum_type).enumerated() {
            schema.enums.append(enumeration(value, parent: fullName, path: path + [4, Int32(index)]))
        }
        for (index, field) in elements(message.pointee.field, message.pointee.n_field).enumerated() {
            schema.fields.append(self.field(field, entries, comments[path + [2, Int32(index)]]))
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
        _ field: UnsafeMutablePointer<CField>, _ entries: [String: UnsafeMutablePointer<CMessage>], _ comment: String
    ) -> SchemaField {
        let type = type(of: field)
        var kind = SchemaField.Kind.singular(type)
        if field.pointee.label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED {
            kind = .repeated(type)
            if case .message(let name) = type, let entry = entries[name] {
                let parts = elements(entry.pointee.field, entry.pointee.n_field)
                kind = .map(key: self.type(of: parts[0]), value: self.type(of: parts[1]), entryFullName: name)
            }
        }
        return SchemaField(
            name: text(field.pointee.name), number: field.pointee.number, comment: comment,
            jsonName: text(field.pointee.json_name), kind: kind,
            oneof: field.pointee.has_oneof_index != 0 ? Int(field.pointee.oneof_index) : nil)
    }

    /// The numbers of `FieldDescriptorProto.Type`.
    private static let numbers: [UInt32: NumberType] = [
        1: .double, 2: .float, 3: .int64, 4: .uint64, 5: .int32, 6: .fixed64, 7: .fixed32, 13: .uint32, 15: .sfixed32,
        16: .sfixed64, 17: .sint32, 18: .sint64,
    ]

    private func type(of field: UnsafeMutablePointer<CField>) -> FieldType {
        let typeName = String(text(field.pointee.type_name).drop { $0 == "." })
        let code = UInt32(field.pointee.type.rawValue)
        return switch code {
        case 8: .bool
        case 9: .string
        case 11: .message(typeName)
        case 12: .bytes
        case 14: .enumeration(typeName)
        default: Self.numbers[code].map { .number($0) } ?? .unsupported
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
    ) -> SchemaService {
        let name = text(service.pointee.name)
        var schema = SchemaService(name: name, fullName: qualified(parent, name), comment: comments[path])
        for (index, method) in elements(service.pointee.method, service.pointee.n_method).enumerated() {
            schema.methods.append(
                SchemaMethod(
                    name: text(method.pointee.name), comment: comments[path + [2, Int32(index)]],
                    request: String(text(method.pointee.input_type).drop { $0 == "." }),
                    response: String(text(method.pointee.output_type).drop { $0 == "." }),
                    idempotency: Self.idempotency(method.pointee.options),
                    isStreaming: method.pointee.client_streaming != 0 || method.pointee.server_streaming != 0))
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
