import ProtoSchema

/// Writes the Swift of one enum type.
struct EnumGenerator {
    private let schema: SchemaEnum
    /// The values with the first name of each number.
    private let cases: [SchemaEnumValue]
    /// Further names of numbers (`allow_alias`).
    private let aliases: [(alias: SchemaEnumValue, original: SchemaEnumValue)]

    init(_ schema: SchemaEnum) {
        self.schema = schema
        var cases: [SchemaEnumValue] = []
        var aliases: [(SchemaEnumValue, SchemaEnumValue)] = []
        for value in schema.values {
            if let original = cases.first(where: { $0.number == value.number }) {
                aliases.append((value, original))
            } else {
                cases.append(value)
            }
        }
        self.cases = cases
        self.aliases = aliases
    }

    private func name(_ value: SchemaEnumValue) -> String {
        SwiftNames.enumCase(value.name, of: schema.name)
    }

    /// Writes the enum.
    func write(_ writer: inout SourceWriter) {
        writer.comment(schema.comment, orElse: "Enum `\(schema.fullName)`.")
        writer.block("public enum \(SwiftNames.type(schema.name)): Enumeration") { writer in
            for value in cases {
                writer.comment(value.comment, orElse: "\(value.name).")
                writer.line("case \(name(value))")
            }
            writer.comment("", orElse: "A number that this version does not know.")
            writer.line("case unrecognized(Int32)")
            for (alias, original) in aliases {
                writer.comment(alias.comment, orElse: "The same as `\(name(original))`.")
                writer.line("public static let \(name(alias)) = \(SwiftNames.type(schema.name)).\(name(original))")
            }
            writer.line()
            writer.comment("", orElse: "The value with number 0.")
            writer.line("public init() { self.init(rawValue: 0) }")
            writer.line()
            writer.comment("", orElse: "The value with this number.")
            writer.block("public init(rawValue: Int32)") { writer in
                writer.line("switch rawValue {")
                for value in cases { writer.line("case \(value.number): self = .\(name(value))") }
                writer.line("default: self = .unrecognized(rawValue)")
                writer.line("}")
            }
            writer.line()
            writer.comment("", orElse: "The value's number.")
            writer.block("public var rawValue: Int32") { writer in
                writer.line("switch self {")
                for value in cases { writer.line("case .\(name(value)): \(value.number)") }
                writer.line("case .unrecognized(let number): number")
                writer.line("}")
            }
        }
    }
}
