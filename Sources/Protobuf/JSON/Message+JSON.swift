internal import CProtobufC

/// How ProtoJSON is read and written.
public struct JSONOptions: Sendable {
    /// Message types that may stand in a `google.protobuf.Any`, by full name. JSON shows their fields, so it must know them.
    public var anyTypes: [String: any Message.Type]
    /// Line breaks and indentation, for people.
    public var isPretty: Bool

    /// Options with the given differences from the default.
    public init(anyTypes: [String: any Message.Type] = [:], isPretty: Bool = false) {
        self.anyTypes = anyTypes
        self.isPretty = isPretty
    }

    /// Descriptor of a type that may stand in an Any.
    func descriptor(ofTypeURL url: String) -> CMessageDescriptor? {
        url.split(separator: "/").last.flatMap { anyTypes[String($0)] }?.descriptor.pointer
    }
}

/// Text that is not acceptable as a message in ProtoJSON.
public struct JSONDecodingError: Error, Hashable {
    /// Path of the refused field, as in `lines[2].productId`; empty for the message as a whole.
    public let field: String
    /// What is wrong with it.
    public let reason: String

    init(field: String = "", reason: String) {
        self.field = field
        self.reason = reason
    }

    /// The same error, seen from the message that holds `parent`.
    func under(_ parent: String) -> JSONDecodingError {
        JSONDecodingError(field: joined(parent, field), reason: reason)
    }
}

extension JSONDecodingError: CustomStringConvertible {
    /// Field and reason.
    public var description: String { field.isEmpty ? reason : "\(field): \(reason)" }
}

extension Message {
    /// Reads a message from ProtoJSON. Fields may have their lowerCamelCase or their .proto names; an unknown one is refused.
    public init(
        jsonString: String, options: JSONOptions = .init(), limits: DecodingLimits = .default
    ) throws(JSONDecodingError) {
        var text = jsonString
        text.makeContiguousUTF8()
        self = try text.utf8.span.bytes.withUnsafeBytes { bytes throws(JSONDecodingError) in
            try Arena.withArena(limit: limits.maxArenaBytes) { arena throws(JSONDecodingError) in
                Self(cMessage: try JSONReader.read(bytes, Self.descriptor.pointer, arena, options, limits))
            }
        }
    }

    /// The message in ProtoJSON: lowerCamelCase names, defaults left out, 64-bit integers as strings.
    public func jsonString(options: JSONOptions = .init()) throws(EncodingError) -> String {
        try Arena.withArena(limit: .max) { arena throws(EncodingError) in
            let message = UnsafeRawPointer(try PackedMessage.cMessage(self, arena))
            return try JSONWriter.write(message, Self.descriptor.pointer, arena, options)
        }
    }
}
