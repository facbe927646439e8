/// Bytes that are not an acceptable message.
public struct DecodingError: Error, Hashable {
    /// Path of the refused field, as in `lines[2].product_id`; empty for the message as a whole.
    public internal(set) var field: String
    /// What is wrong with it.
    public let reason: String

    /// An error at a field.
    public init(field: String = "", reason: String) {
        self.field = field
        self.reason = reason
    }

    /// The same error, seen from the message that holds `parent`.
    func under(_ parent: String) -> DecodingError {
        DecodingError(field: joined(parent, field), reason: reason)
    }
}

/// A value that protobuf's binary form, or protobuf-c, cannot carry.
public struct EncodingError: Error, Hashable {
    /// Path of the field, as in `lines[2].product_id`.
    public internal(set) var field: String
    /// What is wrong with it.
    public let reason: String

    /// An error at a field.
    public init(field: String = "", reason: String) {
        self.field = field
        self.reason = reason
    }

    /// The same error, seen from the message that holds `parent`.
    @usableFromInline
    func under(_ parent: String) -> EncodingError {
        EncodingError(field: joined(parent, field), reason: reason)
    }
}

extension DecodingError: CustomStringConvertible {
    /// Field and reason.
    public var description: String { field.isEmpty ? reason : "\(field): \(reason)" }
}

extension EncodingError: CustomStringConvertible {
    /// Field and reason.
    public var description: String { field.isEmpty ? reason : "\(field): \(reason)" }
}

/// `parent` and `child` as one path.
func joined(_ parent: String, _ child: String) -> String {
    child.isEmpty ? parent : child.utf8.first == UInt8(ascii: "[") ? parent + child : "\(parent).\(child)"
}
