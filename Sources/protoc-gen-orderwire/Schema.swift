/// What the plugin knows of a .proto file, in Swift values.
struct SchemaFile {
    let name: String
    let package: String
    var messages: [SchemaMessage] = []
    var enums: [SchemaEnum] = []
    var services: [SchemaService] = []
}

/// A message type.
struct SchemaMessage {
    let name: String
    let fullName: String
    let comment: String
    /// All fields by ascending number, those of oneofs included.
    var fields: [SchemaField] = []
    var oneofs: [SchemaOneof] = []
    var messages: [SchemaMessage] = []
    var enums: [SchemaEnum] = []

    /// Full names of the messages and enums that its fields have as types, those of nested messages included.
    var mentionedTypes: [String] {
        fields.flatMap(\.mentionedTypes) + messages.flatMap(\.mentionedTypes)
    }
}

/// A field of a message.
struct SchemaField {
    let name: String
    let number: Int32
    let comment: String
    /// Name in ProtoJSON.
    let jsonName: String
    let kind: Kind
    /// Index in the message's oneofs.
    let oneof: Int?

    enum Kind {
        case singular(FieldType)
        case repeated(FieldType)
        case map(key: FieldType, value: FieldType, entryFullName: String)
    }

    /// Full name of the message or enum that it holds, if any.
    var mentionedTypes: [String] {
        switch kind {
        case .singular(.message(let name)), .singular(.enumeration(let name)), .repeated(.message(let name)),
            .repeated(.enumeration(let name)), .map(_, .message(let name), _), .map(_, .enumeration(let name), _):
            [name]
        default: []
        }
    }
}

/// The type of a field, or of its elements.
enum FieldType {
    /// A number type, by its Swift name.
    case number(String)
    case bool
    case string
    case bytes
    /// An enum, by its full name.
    case enumeration(String)
    /// A message, by its full name.
    case message(String)
}

/// A oneof of a message.
struct SchemaOneof {
    let name: String
    let fullName: String
    let comment: String
}

/// An enum type.
struct SchemaEnum {
    let name: String
    let fullName: String
    let comment: String
    let values: [SchemaEnumValue]
}

/// A named number of an enum.
struct SchemaEnumValue {
    let name: String
    let number: Int32
    let comment: String
}

/// A service.
struct SchemaService {
    let name: String
    let fullName: String
    let comment: String
    var methods: [SchemaMethod] = []
}

/// A method of a service.
struct SchemaMethod {
    let name: String
    let comment: String
    /// Full names of messages.
    let request: String
    let response: String
    let idempotency: Idempotency

    enum Idempotency: String {
        case unknown
        case noSideEffects
        case idempotent
    }
}
