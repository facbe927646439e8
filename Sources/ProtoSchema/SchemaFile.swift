/// What a .proto file says, in Swift values.
package struct SchemaFile: Sendable {
    package let name: String
    package let package: String
    /// "proto3", or "proto2" where the file names none.
    package let syntax: String
    package var messages: [SchemaMessage] = []
    package var enums: [SchemaEnum] = []
    package var services: [SchemaService] = []
}

/// A message type.
package struct SchemaMessage: Sendable {
    package let name: String
    package let fullName: String
    package let comment: String
    /// All fields by ascending number, those of oneofs included.
    package var fields: [SchemaField] = []
    package var oneofs: [SchemaOneof] = []
    package var messages: [SchemaMessage] = []
    package var enums: [SchemaEnum] = []

    /// Full names of the messages and enums that its fields have as types, those of nested messages included.
    package var mentionedTypes: [String] {
        fields.flatMap(\.mentionedTypes) + messages.flatMap(\.mentionedTypes)
    }
}

/// A field of a message.
package struct SchemaField: Sendable {
    package let name: String
    package let number: Int32
    package let comment: String
    /// Name in ProtoJSON.
    package let jsonName: String
    package let kind: Kind
    /// Index in the message's oneofs.
    package let oneof: Int?

    package enum Kind: Sendable {
        case singular(FieldType)
        case repeated(FieldType)
        case map(key: FieldType, value: FieldType, entryFullName: String)
    }

    /// Full name of the message or enum that it holds, if any.
    package var mentionedTypes: [String] {
        switch kind {
        case .singular(.message(let name)), .singular(.enumeration(let name)), .repeated(.message(let name)),
            .repeated(.enumeration(let name)), .map(_, .message(let name), _), .map(_, .enumeration(let name), _):
            [name]
        default: []
        }
    }
}

/// The type of a field, or of its elements.
package enum FieldType: Sendable {
    case number(NumberType)
    case bool
    case string
    case bytes
    /// An enum, by its full name.
    case enumeration(String)
    /// A message, by its full name.
    case message(String)
    /// What proto2 called a group, or something newer than this program.
    case unsupported
}

/// A number type, by its name in .proto files.
package enum NumberType: String, Sendable {
    case double, float, int32, int64, uint32, uint64, sint32, sint64, fixed32, fixed64, sfixed32, sfixed64
}

/// A oneof of a message.
package struct SchemaOneof: Sendable {
    package let name: String
    package let fullName: String
    package let comment: String
}

/// An enum type.
package struct SchemaEnum: Sendable {
    package let name: String
    package let fullName: String
    package let comment: String
    package let values: [SchemaEnumValue]
}

/// A named number of an enum.
package struct SchemaEnumValue: Sendable {
    package let name: String
    package let number: Int32
    package let comment: String
}

/// A service.
package struct SchemaService: Sendable {
    package let name: String
    package let fullName: String
    package let comment: String
    package var methods: [SchemaMethod] = []
}

/// A method of a service.
package struct SchemaMethod: Sendable {
    package let name: String
    package let comment: String
    /// Full names of messages.
    package let request: String
    package let response: String
    package let idempotency: Idempotency
    package let isStreaming: Bool

    package enum Idempotency: String, Sendable {
        case unknown
        case noSideEffects
        case idempotent
    }
}
