internal import CProtobufC

/// Reads ProtoJSON into the C form of a message, driven by its descriptor.
struct JSONReader {
    private let arena: Arena
    private let options: JSONOptions
    private let limits: DecodingLimits
    private var text: JSONText
    /// Fields and elements that may still come.
    private var elementsLeft: Int

    /// The C struct of a whole text.
    static func read(
        _ bytes: UnsafeRawBufferPointer, _ descriptor: CMessageDescriptor, _ arena: Arena, _ options: JSONOptions,
        _ limits: DecodingLimits
    ) throws(JSONDecodingError) -> UnsafeRawPointer {
        guard bytes.count <= limits.maxBytes else {
            throw JSONDecodingError(reason: "\(bytes.count) bytes, more than \(limits.maxBytes)")
        }
        var reader = JSONReader(
            arena: arena, options: options, limits: limits, text: JSONText(bytes), elementsLeft: limits.maxElements)
        let message = try reader.message(descriptor, depth: 1)
        try reader.text.expectEnd()
        return UnsafeRawPointer(message)
    }

    private func take(_ bytes: Int) throws(JSONDecodingError) -> UnsafeMutableRawPointer {
        guard let memory = arena.take(bytes) else { throw JSONDecodingError(reason: "takes too much memory") }
        return memory
    }

    private mutating func countElement() throws(JSONDecodingError) {
        elementsLeft -= 1
        guard elementsLeft >= 0 else {
            throw JSONDecodingError(reason: "more than \(limits.maxElements) fields and elements")
        }
    }

    // MARK: - Messages

    private mutating func message(
        _ descriptor: CMessageDescriptor, depth: Int
    ) throws(JSONDecodingError) -> UnsafeMutableRawPointer {
        guard depth <= limits.maxDepth else { throw JSONDecodingError(reason: "nested deeper than \(limits.maxDepth)") }
        let message = try take(descriptor.pointee.sizeof_message)
        descriptor.pointee.message_init(message.assumingMemoryBound(to: ProtobufCMessage.self))
        switch WellKnownMessage(descriptor) {
        case .timestamp(let fields):
            guard let time = TimeText.timestamp(try plainText()) else { throw text.error("no RFC 3339 time") }
            fields.store(time, in: message)
        case .duration(let fields):
            guard let time = TimeText.duration(try plainText()) else { throw text.error("no duration like \"1.5s\"") }
            fields.store(time, in: message)
        case .any(let fields): try readAny(into: message, fields, depth)
        case nil: try readFields(of: descriptor, into: message, depth, isAny: false)
        }
        return message
    }

    private mutating func plainText() throws(JSONDecodingError) -> String {
        String(decoding: try text.string(), as: UTF8.self)
    }

    /// Reads an object. In an Any, `@type` stands among the fields and has been read already.
    private mutating func readFields(
        of descriptor: CMessageDescriptor, into message: UnsafeMutableRawPointer, _ depth: Int, isAny: Bool
    ) throws(JSONDecodingError) {
        try text.expect("{")
        if try text.take("}") { return }
        var seen = SeenFields()
        var sawType = false
        repeat {
            let key = try text.string()
            try text.expect(":")
            if isAny, !sawType, key.elementsEqual("@type".utf8) {
                sawType = true
                _ = try text.string()
                continue
            }
            do throws(JSONDecodingError) {
                guard let index = descriptor.fields.indices.first(where: { descriptor.field($0).isNamed(key) }) else {
                    throw JSONDecodingError(reason: descriptor.fieldList)
                }
                guard seen.insert(index) else { throw JSONDecodingError(reason: "occurs twice") }
                try readField(descriptor.field(index), of: descriptor, into: message, depth)
            } catch {
                throw error.under(String(decoding: key, as: UTF8.self))
            }
        } while try text.take(",")
        try text.expect("}")
    }

    private mutating func readField(
        _ field: CFieldDescriptor, of descriptor: CMessageDescriptor, into message: UnsafeMutableRawPointer, _ depth: Int
    ) throws(JSONDecodingError) {
        try countElement()
        if try text.takeNull() { return }  // null means unset
        if field.isMap(of: descriptor) {
            try readMap(field, into: message, depth)
        } else if field.isRepeated {
            try readArray(field, into: message, depth)
        } else {
            if field.isOneofMember {
                let quantifier = Int(field.pointee.quantifier_offset)
                guard message.load(fromByteOffset: quantifier, as: UInt32.self) == 0 else {
                    throw JSONDecodingError(reason: "another member of the oneof is set")
                }
                message.storeBytes(of: field.pointee.id, toByteOffset: quantifier, as: UInt32.self)
            }
            try readValue(field, into: message + Int(field.pointee.offset), depth)
        }
    }

    // MARK: - Arrays and maps

    private mutating func readArray(
        _ field: CFieldDescriptor, into message: UnsafeMutableRawPointer, _ depth: Int
    ) throws(JSONDecodingError) {
        try text.expect("[")
        var array = CArray(elementBytes: field.elementBytes)
        if try !text.take("]") {
            repeat {
                do throws(JSONDecodingError) {
                    try countElement()
                    try readValue(field, into: try array.append(arena), depth)
                } catch {
                    throw error.under("[\(array.count - 1)]")
                }
            } while try text.take(",")
            try text.expect("]")
        }
        array.store(in: message, field)
    }

    private mutating func readMap(
        _ field: CFieldDescriptor, into message: UnsafeMutableRawPointer, _ depth: Int
    ) throws(JSONDecodingError) {
        let entryType = field.message
        try text.expect("{")
        var array = CArray(elementBytes: field.elementBytes)
        var keys = Set<String>()
        if try !text.take("}") {
            repeat {
                let key = try plainText()
                do throws(JSONDecodingError) {
                    guard keys.insert(key).inserted else { throw JSONDecodingError(reason: "occurs twice") }
                    try countElement()
                    let entry = try take(entryType.pointee.sizeof_message)
                    entryType.pointee.message_init(entry.assumingMemoryBound(to: ProtobufCMessage.self))
                    let keyField = entryType.field(0)
                    try storeMapKey(key, keyField, into: entry + Int(keyField.pointee.offset))
                    try text.expect(":")
                    let value = entryType.field(1)
                    try readValue(value, into: entry + Int(value.pointee.offset), depth)
                    try array.append(arena).storeBytes(of: entry, as: UnsafeMutableRawPointer.self)
                } catch {
                    throw error.under("[\(key)]")
                }
            } while try text.take(",")
            try text.expect("}")
        }
        array.store(in: message, field)
    }

    private mutating func storeMapKey(
        _ key: String, _ field: CFieldDescriptor, into memory: UnsafeMutableRawPointer
    ) throws(JSONDecodingError) {
        switch field.pointee.type {
        case PROTOBUF_C_TYPE_STRING: try store(Array(key.utf8), into: memory)
        case PROTOBUF_C_TYPE_BOOL:
            guard key == "true" || key == "false" else { throw text.error("no bool") }
            memory.storeBytes(of: key == "true" ? 1 : 0, as: Int32.self)
        default:
            guard storeInteger(key, field, into: memory) else { throw text.error("no integer in range") }
        }
    }

    // MARK: - Single values

    private mutating func readValue(
        _ field: CFieldDescriptor, into memory: UnsafeMutableRawPointer, _ depth: Int
    ) throws(JSONDecodingError) {
        switch field.pointee.type {
        case PROTOBUF_C_TYPE_STRING: try store(try text.string(), into: memory)
        case PROTOBUF_C_TYPE_BOOL: memory.storeBytes(of: try text.bool() ? 1 : 0, as: Int32.self)
        case PROTOBUF_C_TYPE_BYTES:
            guard let bytes = Base64.decode(try text.string()) else { throw text.error("no base64") }
            let copy = try take(bytes.count)
            bytes.withUnsafeBytes { copy.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(copy), byteCount: $0.count) }
            let data = ProtobufCBinaryData(len: bytes.count, data: copy.assumingMemoryBound(to: UInt8.self))
            memory.storeBytes(of: data, as: ProtobufCBinaryData.self)
        case PROTOBUF_C_TYPE_FLOAT:
            let value = try floatingPoint()
            // The largest float, written as short as possible, is a double slightly above it.
            guard !value.isFinite || Float(value).isFinite else { throw text.error("too large for a float") }
            memory.storeBytes(of: Float(value), as: Float.self)
        case PROTOBUF_C_TYPE_DOUBLE: memory.storeBytes(of: try floatingPoint(), as: Double.self)
        case PROTOBUF_C_TYPE_ENUM: try readEnum(field, into: memory)
        case PROTOBUF_C_TYPE_MESSAGE:
            memory.storeBytes(of: try message(field.message, depth: depth + 1), as: UnsafeMutableRawPointer.self)
        default:
            let digits = try text.peek() == UInt8(ascii: "\"") ? plainText() : text.number()
            guard storeInteger(digits, field, into: memory) else { throw text.error("no integer in range") }
        }
    }

    private func store(_ string: [UInt8], into memory: UnsafeMutableRawPointer) throws(JSONDecodingError) {
        guard string.count <= limits.maxStringBytes else {
            throw JSONDecodingError(reason: "\(string.count) bytes, more than \(limits.maxStringBytes)")
        }
        guard !string.contains(0) else { throw JSONDecodingError(reason: "contains U+0000") }
        let copy = try take(string.count + 1)
        string.withUnsafeBytes { copy.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(copy), byteCount: $0.count) }
        copy.storeBytes(of: 0, toByteOffset: string.count, as: UInt8.self)
        memory.storeBytes(of: copy, as: UnsafeMutableRawPointer.self)
    }

    /// Stores an integer where it fits the field's type. `1e3` and `2.0` are integers too.
    private func storeInteger(_ digits: String, _ field: CFieldDescriptor, into memory: UnsafeMutableRawPointer) -> Bool {
        func store<Integer: FixedWidthInteger & BitwiseCopyable>(_ type: Integer.Type) -> Bool {
            guard let value = Integer(digits) ?? Double(digits).flatMap({ Integer(exactly: $0) }) else { return false }
            memory.storeBytes(of: value, as: Integer.self)
            return true
        }
        switch field.pointee.type {
        case PROTOBUF_C_TYPE_UINT32, PROTOBUF_C_TYPE_FIXED32: return store(UInt32.self)
        case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_SINT64, PROTOBUF_C_TYPE_SFIXED64: return store(Int64.self)
        case PROTOBUF_C_TYPE_UINT64, PROTOBUF_C_TYPE_FIXED64: return store(UInt64.self)
        default: return store(Int32.self)
        }
    }

    private mutating func floatingPoint() throws(JSONDecodingError) -> Double {
        guard try text.peek() == UInt8(ascii: "\"") else {
            guard let value = Double(try text.number()), value.isFinite else { throw text.error("a number out of range") }
            return value
        }
        let word = try plainText()
        switch word {
        case "NaN": return .nan
        case "Infinity": return .infinity
        case "-Infinity": return -.infinity
        default:
            var digits = word
            let number = digits.withUTF8 { utf8 -> Double? in
                var quoted = JSONText(UnsafeRawBufferPointer(utf8))
                guard case .success(let number) = Result(catching: { () throws(JSONDecodingError) in try quoted.number() }),
                    quoted.position == utf8.count
                else { return nil }
                return Double(number)
            }
            guard let number, number.isFinite else { throw text.error("no number") }
            return number
        }
    }

    private mutating func readEnum(
        _ field: CFieldDescriptor, into memory: UnsafeMutableRawPointer
    ) throws(JSONDecodingError) {
        guard try text.peek() == UInt8(ascii: "\"") else {
            guard let number = Int32(try text.number()) else { throw text.error("no enum number") }
            return memory.storeBytes(of: number, as: Int32.self)
        }
        let name = try plainText()
        guard let value = protobuf_c_enum_descriptor_get_value_by_name(field.enumeration, name) else {
            throw JSONDecodingError(reason: field.valueList)
        }
        memory.storeBytes(of: value.pointee.value, as: Int32.self)
    }

    // MARK: - Any

    private mutating func readAny(
        into message: UnsafeMutableRawPointer, _ fields: WellKnownMessage.AnyFields, _ depth: Int
    ) throws(JSONDecodingError) {
        guard let url = try typeOfAny(depth) else {
            try text.expect("{")
            return try text.expect("}")
        }
        guard let descriptor = options.descriptor(ofTypeURL: url) else {
            throw JSONDecodingError(field: "@type", reason: "no known type")
        }
        let inner: UnsafeMutableRawPointer
        if WellKnownMessage(descriptor) != nil {
            inner = try wrappedWellKnown(descriptor, depth)
        } else {
            guard depth < limits.maxDepth else { throw JSONDecodingError(reason: "nested deeper than \(limits.maxDepth)") }
            inner = try take(descriptor.pointee.sizeof_message)
            descriptor.pointee.message_init(inner.assumingMemoryBound(to: ProtobufCMessage.self))
            try readFields(of: descriptor, into: inner, depth + 1, isAny: true)
        }
        let packed = PackedMessage(UnsafePointer(inner.assumingMemoryBound(to: ProtobufCMessage.self)))
        let value = UnsafeMutableRawBufferPointer(start: try take(packed.size), count: packed.size)
        packed.write(to: value)
        let urlPointer = try take(url.utf8.count + 1).assumingMemoryBound(to: CChar.self)
        for (index, byte) in (Array(url.utf8) + [0]).enumerated() { urlPointer[index] = CChar(bitPattern: byte) }
        fields.store(url: urlPointer, value: value, in: message)
    }

    /// The `@type` of the object that comes next, wherever in it; nil where the object is empty.
    private func typeOfAny(_ depth: Int) throws(JSONDecodingError) -> String? {
        var ahead = text
        try ahead.expect("{")
        if try ahead.take("}") { return nil }
        repeat {
            let key = String(decoding: try ahead.string(), as: UTF8.self)
            try ahead.expect(":")
            if key == "@type" {
                let url = String(decoding: try ahead.string(), as: UTF8.self)
                guard !url.utf8.contains(0) else { throw JSONDecodingError(field: "@type", reason: "contains U+0000") }
                return url
            }
            try ahead.skipValue(depth: limits.maxDepth)
        } while try ahead.take(",")
        throw JSONDecodingError(field: "@type", reason: "is missing")
    }

    /// `{"@type": ..., "value": ...}`, in either order.
    private mutating func wrappedWellKnown(
        _ descriptor: CMessageDescriptor, _ depth: Int
    ) throws(JSONDecodingError) -> UnsafeMutableRawPointer {
        var value: UnsafeMutableRawPointer?
        try text.expect("{")
        repeat {
            let key = try plainText()
            try text.expect(":")
            switch key {
            case "@type": _ = try text.string()
            case "value" where value == nil: value = try message(descriptor, depth: depth + 1)
            default: throw JSONDecodingError(field: key, reason: "is not expected here")
            }
        } while try text.take(",")
        try text.expect("}")
        guard let value else { throw JSONDecodingError(field: "value", reason: "is missing") }
        return value
    }
}

extension CMessageDescriptor {
    /// Says which fields there are, to somebody who named another.
    fileprivate var fieldList: String {
        let names = fields.indices.map { field($0).jsonName }
        return "\(fullName) has no such field; it has \(names.isEmpty ? "none" : names.joined(separator: ", "))"
    }
}

extension CFieldDescriptor {
    /// Says which values an enum has, to somebody who named another.
    fileprivate var valueList: String {
        let type = enumeration.pointee
        let names = UnsafeBufferPointer(start: type.values, count: Int(type.n_values)).map { String(cString: $0.name) }
        return "\(String(cString: type.name)) has no such value; it has \(names.joined(separator: ", "))"
    }
}

/// A growing C array in an arena.
private struct CArray {
    let elementBytes: Int
    private(set) var count = 0
    private var capacity = 0
    private var start: UnsafeMutableRawPointer?

    init(elementBytes: Int) { self.elementBytes = elementBytes }

    /// Zeroed memory for one more element.
    mutating func append(_ arena: Arena) throws(JSONDecodingError) -> UnsafeMutableRawPointer {
        if count == capacity {
            capacity = max(8, capacity * 2)
            guard let larger = arena.take(capacity * elementBytes) else {
                throw JSONDecodingError(reason: "takes too much memory")
            }
            if let start { larger.copyMemory(from: start, byteCount: count * elementBytes) }
            start = larger
        }
        guard let start else { throw JSONDecodingError(reason: "takes too much memory") }
        let element = start + count * elementBytes
        element.initializeMemory(as: UInt8.self, repeating: 0, count: elementBytes)
        count += 1
        return element
    }

    func store(in message: UnsafeMutableRawPointer, _ field: CFieldDescriptor) {
        message.storeBytes(of: count, toByteOffset: Int(field.pointee.quantifier_offset), as: Int.self)
        message.storeBytes(of: start, toByteOffset: Int(field.pointee.offset), as: UnsafeMutableRawPointer?.self)
    }
}
