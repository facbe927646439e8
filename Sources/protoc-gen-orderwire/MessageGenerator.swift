import ProtoSchema

/// Writes the Swift of one message type.
struct MessageGenerator {
    private let message: SchemaMessage
    private let names: SwiftNames
    private let plain: [FieldCode]
    private let oneofs: [(oneof: SchemaOneof, fields: [FieldCode])]

    init(_ message: SchemaMessage, _ names: SwiftNames) {
        self.message = message
        self.names = names
        let codes = message.fields.map { FieldCode(field: $0, names: names) }
        plain = codes.filter { $0.field.oneof == nil }
        oneofs = message.oneofs.enumerated().map { index, oneof in (oneof, codes.filter { $0.field.oneof == index }) }
    }

    private var swiftName: String { names.type(ofFullName: message.fullName) }
    private var cType: String { CNames.type(message.fullName) }

    /// A stored property, from a field or a oneof.
    private struct Property {
        let name: String
        let type: String
        let defaultValue: String
        let comment: String
        /// Name in the .proto file.
        let protoName: String
    }

    private var properties: [Property] {
        plain.map {
            Property(
                name: $0.name, type: $0.swiftType, defaultValue: $0.defaultValue, comment: $0.field.comment,
                protoName: $0.field.name)
        }
            + oneofs.map {
                Property(
                    name: SwiftNames.member($0.oneof.name), type: typeName(of: $0.oneof) + "?",
                    defaultValue: "nil", comment: $0.oneof.comment, protoName: $0.oneof.name)
            }
    }

    /// Name of a oneof's enum, which stands beside the nested types.
    private func typeName(of oneof: SchemaOneof) -> String {
        let name = SwiftNames.type(SwiftNames.upperCamel(oneof.name))
        let isTaken = message.messages.contains { $0.name == name } || message.enums.contains { $0.name == name }
        return isTaken ? name + "Choice" : name
    }

    // MARK: - The struct

    /// Writes the struct with its nested types.
    func writeStruct(_ writer: inout SourceWriter) {
        writer.comment(message.comment, orElse: "Message `\(message.fullName)`.")
        writer.block("public struct \(SwiftNames.type(message.name)): Message") { writer in
            for property in properties {
                writer.comment(property.comment, orElse: "`\(property.protoName)`.")
                writer.line("public var \(property.name): \(property.type) = \(property.defaultValue)")
            }
            if !properties.isEmpty { writer.line() }
            writer.comment("", orElse: "The message with every field at its default.")
            writer.line("public init() {}")
            writeMemberwiseInit(&writer)
            for (oneof, fields) in oneofs {
                writer.line()
                writeOneof(oneof, fields, &writer)
            }
            for value in message.enums {
                writer.line()
                EnumGenerator(value).write(&writer)
            }
            for nested in message.messages {
                writer.line()
                MessageGenerator(nested, names).writeStruct(&writer)
            }
        }
    }

    private func writeMemberwiseInit(_ writer: inout SourceWriter) {
        guard !properties.isEmpty else { return }
        writer.line()
        writer.comment("", orElse: "The message with the given fields.")
        writer.line("public init(")
        writer.indented { writer in
            for (index, property) in properties.enumerated() {
                let end = index == properties.count - 1 ? "" : ","
                writer.line("\(property.name): \(property.type) = \(property.defaultValue)\(end)")
            }
        }
        writer.block(")") { writer in
            for property in properties { writer.line("self.\(property.name) = \(property.name)") }
        }
    }

    private func writeOneof(_ oneof: SchemaOneof, _ fields: [FieldCode], _ writer: inout SourceWriter) {
        writer.comment(oneof.comment, orElse: "At most one of these is set.")
        writer.block("public enum \(typeName(of: oneof)): Sendable, Hashable") { writer in
            for field in fields {
                writer.comment(field.field.comment, orElse: "`\(field.field.name)`.")
                writer.line("case \(field.name)(\(field.presentType))")
            }
        }
    }

    // MARK: - The way through C

    /// Writes the extension that moves values between Swift and C, and those of nested types.
    func writeConversion(_ writer: inout SourceWriter) {
        writer.block("extension \(swiftName)") { writer in
            writer.comment("", orElse: "Full protobuf name.")
            writer.line("public static let messageName = \"\(message.fullName)\"")
            writer.line()
            writer.comment("", orElse: "protobuf-c's descriptor.")
            writer.line("public static let descriptor = MessageDescriptor(\(CNames.initializer(message.fullName)))")
            writer.line()
            writeReading(&writer)
            writer.line()
            writeStoring(&writer)
        }
        for nested in message.messages {
            writer.line()
            MessageGenerator(nested, names).writeConversion(&writer)
        }
    }

    private func writeReading(_ writer: inout SourceWriter) {
        writer.comment("", orElse: "Copies a C struct of this message's type.")
        writer.block("public init(cMessage: UnsafeRawPointer)") { writer in
            guard !message.fields.isEmpty else { return }
            writer.line("let c = cMessage.assumingMemoryBound(to: \(cType).self)")
            for field in plain { writer.line("self.\(field.name) = \(field.reading)") }
            for (oneof, fields) in oneofs {
                writer.line("switch c.pointee.\(oneof.name)_case.rawValue {")
                for field in fields {
                    let value = "self.\(SwiftNames.member(oneof.name)) = .\(field.name)(\(field.readingPresent))"
                    writer.line("case \(field.field.number): \(value)")
                }
                writer.line("default: break")
                writer.line("}")
            }
        }
    }

    private func writeStoring(_ writer: inout SourceWriter) {
        writer.comment("", orElse: "Fills the C struct of this message's type.")
        writer.block("public func store(into cMessage: UnsafeMutableRawPointer, arena: Arena) throws(EncodingError)") { writer in
            writer.line("let c = cMessage.assumingMemoryBound(to: \(cType).self)")
            writer.line("\(CNames.initializer(message.fullName))(c)")
            for field in plain { field.writeStoring("self.\(field.name)", &writer) }
            for (oneof, fields) in oneofs {
                writer.line("switch self.\(SwiftNames.member(oneof.name)) {")
                writer.line("case nil: break")
                for field in fields {
                    writer.line("case .\(field.name)(let value)?:")
                    writer.indented { writer in
                        writer.line("c.pointee.\(oneof.name)_case = .init(rawValue: \(field.field.number))")
                        field.writeStoring("value", &writer)
                    }
                }
                writer.line("}")
            }
        }
    }

    // MARK: - The way straight to bytes

    /// Writes the fields for `MessageWriter`, one extension for each type of value, and those of nested types.
    func writeFields(_ writer: inout SourceWriter) {
        var types: [String] = []
        var fields: [String: [FieldCode]] = [:]
        for field in message.fields.map({ FieldCode(field: $0, names: names) }) {
            guard let type = field.writtenType else { continue }
            if fields[type] == nil { types.append(type) }
            fields[type, default: []].append(field)
        }
        for type in types {
            writer.line()
            writer.block("extension MessageField where Body == \(swiftName), Value == \(type)") { writer in
                for field in fields[type] ?? [] {
                    writer.comment(field.field.comment, orElse: "`\(field.field.name)`.")
                    writer.line("public static var \(field.name): Self { Self(\(field.writing)) }")
                }
            }
        }
        for nested in message.messages { MessageGenerator(nested, names).writeFields(&writer) }
    }
}
