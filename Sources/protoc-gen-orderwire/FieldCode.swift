import ProtoSchema

/// The Swift of one field: its type, and how it crosses between the Swift value and the C struct `c`.
struct FieldCode {
    let field: SchemaField
    let names: SwiftNames

    var name: String { SwiftNames.member(field.name) }

    var swiftType: String {
        switch field.kind {
        case .singular(.message(let message)): names.type(ofFullName: message) + "?"
        case .singular(let type): elementType(type)
        case .repeated(let type): "[\(elementType(type))]"
        case .map(let key, let value, _): "[\(elementType(key)): \(elementType(value))]"
        }
    }

    /// Type of the value where it is present, as a oneof's case holds it.
    var presentType: String {
        if case .singular(let type) = field.kind { elementType(type) } else { swiftType }
    }

    var defaultValue: String {
        switch field.kind {
        case .repeated: "[]"
        case .map: "[:]"
        case .singular(.message): "nil"
        case .singular(.number): "0"
        case .singular(.bool): "false"
        case .singular(.string): "\"\""
        case .singular(.bytes): "[]"
        case .singular(.enumeration(let name)): names.type(ofFullName: name) + "()"
        case .singular(.unsupported): Self.refused
        }
    }

    /// Groups: proto3 has none, and `Refusals` lets nothing else through.
    private static var refused: String { preconditionFailure("a group in proto3") }

    private func elementType(_ type: FieldType) -> String {
        switch type {
        case .number(let type): type.swiftName
        case .bool: "Bool"
        case .string: "String"
        case .bytes: "[UInt8]"
        case .enumeration(let name), .message(let name): names.type(ofFullName: name)
        case .unsupported: Self.refused
        }
    }
}

// MARK: - C to Swift

extension FieldCode {
    private var cField: String { "c.pointee.\(CNames.field(field.name))" }
    private var cCount: String { "c.pointee.\(CNames.count(field.name))" }

    /// Expression for the field's value.
    var reading: String {
        switch field.kind {
        case .singular(.message): "CValue.message(\(cField))"
        case .singular(let type): reading(cField, type)
        case .repeated(let type): "CValue.array(\(cField), \(cCount)) { \(reading("$0", type)) }"
        case .map(let key, let value, _):
            "CValue.map(\(cField), \(cCount)) { (\(reading("$0.key", key)), \(reading("$0.value", value))) }"
        }
    }

    /// Expression for a value that is there.
    var readingPresent: String {
        if case .singular(let type) = field.kind { reading(cField, type) } else { reading }
    }

    private func reading(_ expression: String, _ type: FieldType) -> String {
        switch type {
        case .number: expression
        case .bool: "\(expression) != 0"
        case .string: "CValue.string(\(expression))"
        case .bytes: "CValue.bytes(\(expression).data, \(expression).len)"
        case .enumeration(let name):
            "\(names.type(ofFullName: name))(rawValue: Int32(truncatingIfNeeded: \(expression).rawValue))"
        case .message(let name): "CValue.message(\(expression)) ?? \(names.type(ofFullName: name))()"
        case .unsupported: Self.refused
        }
    }
}

// MARK: - Swift to C

extension FieldCode {
    /// Writes the statements that store `value` in the struct.
    func writeStoring(_ value: String, _ writer: inout SourceWriter) {
        switch field.kind {
        case .singular(.bytes):
            writer.line("(\(cField).len, \(cField).data) = arena.bytes(\(value))")
        case .singular(let type):
            writer.line("\(cField) = \(storing(value, type, place: ", \"\(field.name)\""))")
        case .repeated(let type):
            writer.line("\(cCount) = \(value).count")
            writer.line("\(cField) = try arena.array(\(value), \"\(field.name)\") { element throws(EncodingError) in")
            writer.indented { writer in
                if case .bytes = type {
                    writer.line("let (count, data) = arena.bytes(element)")
                    writer.line("return .init(len: count, data: data)")
                } else {
                    writer.line(storing("element", type, place: ""))
                }
            }
            writer.line("}")
        case .map(let key, let value_, let entry):
            writer.line("\(cCount) = \(value).count")
            let order = if case .bool = key { "{ !$0 && $1 }" } else { "<" }
            writer.line("\(cField) = try arena.map(\(value), \"\(field.name)\", by: \(order)) {")
            writer.indented { writer in
                writer.line("entry, key, value throws(EncodingError) in")
                writer.line("\(CNames.initializer(entry))(entry)")
                writer.line("entry.pointee.key = \(storing("key", key, place: ""))")
                if case .bytes = value_ {
                    writer.line("(entry.pointee.value.len, entry.pointee.value.data) = arena.bytes(value)")
                } else {
                    writer.line("entry.pointee.value = \(storing("value", value_, place: ""))")
                }
            }
            writer.line("}")
        }
    }

    private func storing(_ expression: String, _ type: FieldType, place: String) -> String {
        switch type {
        case .number: expression
        case .bool: "\(expression) ? 1 : 0"
        case .string: "try arena.string(\(expression)\(place))"
        case .bytes: "arena.bytes(\(expression))"
        case .enumeration: ".init(rawValue: .init(truncatingIfNeeded: \(expression).rawValue))"
        case .message: "try arena.message(\(expression)\(place))"
        case .unsupported: Self.refused
        }
    }
}

// MARK: - Swift to bytes

extension FieldCode {
    /// Type of the values that a `MessageWriter` takes for it; nil where it has none.
    var writtenType: String? {
        switch field.kind {
        case .singular(let type): elementType(type)
        case .repeated(let type):
            switch type {
            case .string, .bytes, .message: elementType(type)
            case .number, .bool, .enumeration, .unsupported: nil
            }
        case .map: nil
        }
    }

    /// Arguments of its `MessageField`.
    var writing: String {
        let (isList, type) = switch field.kind {
        case .singular(let type): (false, type)
        case .repeated(let type): (true, type)
        case .map: preconditionFailure("a map has no `writtenType`")
        }
        let writesDefault = isList || field.oneof != nil ? ", writesDefault: true" : ""
        return "\(field.number), \"\(field.name)\", .\(form(of: type))\(writesDefault)"
    }

    private func form(of type: FieldType) -> String {
        switch type {
        case .number(let number): number.form
        case .bool, .enumeration: "varint"
        case .string, .bytes, .message: "delimited"
        case .unsupported: Self.refused
        }
    }
}

extension NumberType {
    fileprivate var form: String {
        switch self {
        case .int32, .int64, .uint32, .uint64: "varint"
        case .sint32, .sint64: "zigZag"
        case .fixed32, .sfixed32, .float: "fixed32"
        case .fixed64, .sfixed64, .double: "fixed64"
        }
    }

    fileprivate var swiftName: String {
        switch self {
        case .double: "Double"
        case .float: "Float"
        case .int64, .sint64, .sfixed64: "Int64"
        case .uint64, .fixed64: "UInt64"
        case .int32, .sint32, .sfixed32: "Int32"
        case .uint32, .fixed32: "UInt32"
        }
    }
}
