internal import CProtobufC
internal import Glibc

// protobuf-c's descriptors, as far as ProtoJSON and the checks before decoding read them.

typealias CMessageDescriptor = UnsafePointer<ProtobufCMessageDescriptor>
typealias CFieldDescriptor = UnsafePointer<ProtobufCFieldDescriptor>

extension CMessageDescriptor {
    var fullName: String { String(cString: pointee.name) }
    var fields: UnsafeBufferPointer<ProtobufCFieldDescriptor> {
        UnsafeBufferPointer(start: pointee.fields, count: Int(pointee.n_fields))
    }
}

extension CFieldDescriptor {
    /// Name in the .proto file.
    var name: String { String(cString: pointee.name) }
    /// Name in ProtoJSON.
    var jsonName: String { String(decoding: Array(JSONName(pointee.name)), as: UTF8.self) }
    /// Whether a key in ProtoJSON means this field: its name there, or that in the .proto file.
    func isNamed(_ key: [UInt8]) -> Bool {
        key.elementsEqual(UnsafeRawBufferPointer(start: pointee.name, count: strlen(pointee.name))) || key.elementsEqual(JSONName(pointee.name))
    }

    var isRepeated: Bool { pointee.label == PROTOBUF_C_LABEL_REPEATED }
    var isOneofMember: Bool { pointee.flags & PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue != 0 }
    /// Message type of the field, or of its elements.
    var message: CMessageDescriptor { pointee.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self) }
    /// Enum type of the field, or of its elements.
    var enumeration: UnsafePointer<ProtobufCEnumDescriptor> {
        pointee.descriptor.assumingMemoryBound(to: ProtobufCEnumDescriptor.self)
    }

    /// Name of an enum's number. (protobuf-c's own search overflows at 2,147,483,647 and does not find it.)
    func enumName(of number: Int32) -> String? {
        UnsafeBufferPointer(start: enumeration.pointee.values, count: Int(enumeration.pointee.n_values))
            .first { $0.value == number }.map { String(cString: $0.name) }
    }

    /// Whether the field is a map. protobuf-c keeps the entries' names only: `map<...> page_sizes` of `P` has entries of type
    /// `P.PageSizesEntry`. The plugin refuses a message that looks like this and is none.
    func isMap(of parent: CMessageDescriptor) -> Bool {
        guard isRepeated, pointee.type == PROTOBUF_C_TYPE_MESSAGE, message.pointee.n_fields == 2 else { return false }
        guard message.field(0).name == "key", message.field(1).name == "value" else { return false }
        let words = name.split(separator: "_").map { $0.prefix(1).uppercased() + $0.dropFirst() }
        return message.fullName == "\(parent.fullName).\(words.joined())Entry"
    }

    /// Bytes of one value in a C array.
    var elementBytes: Int {
        switch pointee.type {
        case PROTOBUF_C_TYPE_BYTES: MemoryLayout<ProtobufCBinaryData>.stride
        case PROTOBUF_C_TYPE_INT32, PROTOBUF_C_TYPE_SINT32, PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_UINT32,
            PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_FLOAT, PROTOBUF_C_TYPE_BOOL, PROTOBUF_C_TYPE_ENUM:
            4
        default: 8
        }
    }
}

extension CMessageDescriptor {
    func field(_ index: Int) -> CFieldDescriptor { pointee.fields + index }
}

/// The bytes of a field's lowerCamelCase name, made of its name in the .proto file, which is ASCII. (protoc-c keeps no `json_name`; the plugin
/// refuses one that differs from this.)
private struct JSONName: Sequence, IteratorProtocol {
    private var rest: UnsafePointer<CChar>

    init(_ name: UnsafePointer<CChar>) { rest = name }

    mutating func next() -> UInt8? {
        var startsWord = false
        while rest.pointee == UInt8(ascii: "_") {
            startsWord = true
            rest += 1
        }
        guard rest.pointee != 0 else { return nil }
        defer { rest += 1 }
        let letter = UInt8(bitPattern: rest.pointee)
        return startsWord && (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(letter) ? letter & ~0x20 : letter
    }
}
