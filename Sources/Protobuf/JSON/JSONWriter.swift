internal import CProtobufC

/// Writes the C form of a message as ProtoJSON, driven by its descriptor.
struct JSONWriter {
    /// Deepest nesting, which only an Any within an Any within an Any can reach.
    private static let maxDepth = 32

    private let arena: Arena
    private let options: JSONOptions
    private var output: JSONOutput

    /// The JSON of a C struct.
    static func write(
        _ message: UnsafeRawPointer, _ descriptor: CMessageDescriptor, _ arena: Arena, _ options: JSONOptions
    ) throws(EncodingError) -> String {
        var writer = JSONWriter(arena: arena, options: options, output: JSONOutput(isPretty: options.isPretty))
        try writer.writeMessage(message, descriptor, depth: 1)
        return writer.output.text
    }

    private mutating func writeMessage(
        _ message: UnsafeRawPointer, _ descriptor: CMessageDescriptor, depth: Int
    ) throws(EncodingError) {
        guard depth <= Self.maxDepth else { throw EncodingError(reason: "nested deeper than \(Self.maxDepth)") }
        switch WellKnownMessage(descriptor) {
        case .timestamp(let fields):
            output.string(try TimeText.timestamp(seconds: fields.seconds(message), nanos: fields.nanos(message)))
        case .duration(let fields):
            output.string(try TimeText.duration(seconds: fields.seconds(message), nanos: fields.nanos(message)))
        case .any(let fields): try writeAny(message, fields, depth)
        case nil:
            output.open("{")
            try writeFields(message, descriptor, depth)
            output.close("}")
        }
    }

    private mutating func writeFields(
        _ message: UnsafeRawPointer, _ descriptor: CMessageDescriptor, _ depth: Int
    ) throws(EncodingError) {
        for index in descriptor.fields.indices {
            let field = descriptor.field(index)
            guard Self.isSet(field, in: message) else { continue }
            output.key(field.jsonName)
            do throws(EncodingError) {
                if field.isMap(of: descriptor) {
                    try writeMap(message, field, depth)
                } else if field.isRepeated {
                    try writeArray(message, field, depth)
                } else {
                    try writeValue(message + Int(field.pointee.offset), field, depth)
                }
            } catch {
                throw error.under(field.name)
            }
        }
    }

    /// Whether a field belongs into the JSON: not its default, or the member of a oneof that is set.
    private static func isSet(_ field: CFieldDescriptor, in message: UnsafeRawPointer) -> Bool {
        let quantifier = Int(field.pointee.quantifier_offset)
        if field.isRepeated { return message.load(fromByteOffset: quantifier, as: Int.self) > 0 }
        if field.isOneofMember { return message.load(fromByteOffset: quantifier, as: UInt32.self) == field.pointee.id }
        let value = message + Int(field.pointee.offset)
        switch field.pointee.type {
        case PROTOBUF_C_TYPE_STRING: return value.load(as: UnsafePointer<CChar>?.self).map { $0.pointee != 0 } ?? false
        case PROTOBUF_C_TYPE_MESSAGE: return value.load(as: UnsafeRawPointer?.self) != nil
        case PROTOBUF_C_TYPE_BYTES: return value.load(as: ProtobufCBinaryData.self).len > 0
        default:
            return field.elementBytes == 4 ? value.load(as: UInt32.self) != 0 : value.load(as: UInt64.self) != 0
        }
    }

    private func elements(_ field: CFieldDescriptor, of message: UnsafeRawPointer) -> (UnsafeRawPointer, count: Int) {
        let start = message.load(fromByteOffset: Int(field.pointee.offset), as: UnsafeRawPointer.self)
        return (start, message.load(fromByteOffset: Int(field.pointee.quantifier_offset), as: Int.self))
    }

    private mutating func writeArray(
        _ message: UnsafeRawPointer, _ field: CFieldDescriptor, _ depth: Int
    ) throws(EncodingError) {
        let (start, count) = elements(field, of: message)
        output.open("[")
        for index in 0..<count {
            output.element()
            do throws(EncodingError) {
                try writeValue(start + index * field.elementBytes, field, depth)
            } catch {
                throw error.under("[\(index)]")
            }
        }
        output.close("]")
    }

    private mutating func writeMap(
        _ message: UnsafeRawPointer, _ field: CFieldDescriptor, _ depth: Int
    ) throws(EncodingError) {
        let (start, count) = elements(field, of: message)
        let key = field.message.field(0)
        let value = field.message.field(1)
        output.open("{")
        for index in 0..<count {
            let entry = start.load(fromByteOffset: index * field.elementBytes, as: UnsafeRawPointer.self)
            output.key(Self.mapKey(entry + Int(key.pointee.offset), key))
            try writeValue(entry + Int(value.pointee.offset), value, depth)
        }
        output.close("}")
    }

    private static func mapKey(_ value: UnsafeRawPointer, _ field: CFieldDescriptor) -> String {
        switch field.pointee.type {
        case PROTOBUF_C_TYPE_STRING: CValue.string(value.load(as: UnsafePointer<CChar>?.self))
        case PROTOBUF_C_TYPE_BOOL: value.load(as: Int32.self) != 0 ? "true" : "false"
        default: integer(value, field) ?? ""
        }
    }

    /// The digits of an integer; nil for another type.
    private static func integer(_ value: UnsafeRawPointer, _ field: CFieldDescriptor) -> String? {
        switch field.pointee.type {
        case PROTOBUF_C_TYPE_INT32, PROTOBUF_C_TYPE_SINT32, PROTOBUF_C_TYPE_SFIXED32: "\(value.load(as: Int32.self))"
        case PROTOBUF_C_TYPE_UINT32, PROTOBUF_C_TYPE_FIXED32: "\(value.load(as: UInt32.self))"
        case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_SINT64, PROTOBUF_C_TYPE_SFIXED64: "\(value.load(as: Int64.self))"
        case PROTOBUF_C_TYPE_UINT64, PROTOBUF_C_TYPE_FIXED64: "\(value.load(as: UInt64.self))"
        default: nil
        }
    }

    private mutating func writeValue(
        _ value: UnsafeRawPointer, _ field: CFieldDescriptor, _ depth: Int
    ) throws(EncodingError) {
        switch field.pointee.type {
        case PROTOBUF_C_TYPE_STRING: output.string(CValue.string(value.load(as: UnsafePointer<CChar>?.self)))
        case PROTOBUF_C_TYPE_BOOL: output.raw(value.load(as: Int32.self) != 0 ? "true" : "false")
        case PROTOBUF_C_TYPE_BYTES:
            let data = value.load(as: ProtobufCBinaryData.self)
            output.string(Base64.encode(UnsafeBufferPointer(start: data.data, count: data.len)))
        case PROTOBUF_C_TYPE_FLOAT: output.number(value.load(as: Float.self))
        case PROTOBUF_C_TYPE_DOUBLE: output.number(value.load(as: Double.self))
        case PROTOBUF_C_TYPE_ENUM:
            let number = value.load(as: Int32.self)
            if let name = field.enumName(of: number) { output.string(name) } else { output.raw("\(number)") }
        case PROTOBUF_C_TYPE_MESSAGE:
            if let message = value.load(as: UnsafeRawPointer?.self) {
                try writeMessage(message, field.message, depth: depth + 1)
            } else {
                output.raw("{}")  // the value of a map entry that has none
            }
        default:
            let digits = Self.integer(value, field) ?? "0"
            if field.elementBytes == 8 { output.string(digits) } else { output.raw(digits) }
        }
    }

    private mutating func writeAny(
        _ message: UnsafeRawPointer, _ fields: WellKnownMessage.AnyFields, _ depth: Int
    ) throws(EncodingError) {
        let url = fields.typeURL(message)
        output.open("{")
        if !url.isEmpty {
            guard let descriptor = options.descriptor(ofTypeURL: url) else {
                throw EncodingError(reason: "no known type for \(url)")
            }
            let inner: UnsafeRawPointer
            do throws(DecodingError) {
                try WireScanner.check(fields.value(message), descriptor, .default)
                inner = try Decoder.unpack(fields.value(message), descriptor, arena)
            } catch {
                throw EncodingError(field: error.field, reason: error.reason)
            }
            output.key("@type")
            output.string(url)
            if WellKnownMessage(descriptor) != nil {
                output.key("value")
                try writeMessage(inner, descriptor, depth: depth + 1)
            } else {
                guard depth < Self.maxDepth else { throw EncodingError(reason: "nested deeper than \(Self.maxDepth)") }
                try writeFields(inner, descriptor, depth + 1)
            }
        }
        output.close("}")
    }
}
