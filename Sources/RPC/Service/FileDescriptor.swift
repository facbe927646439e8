internal import Protobuf

/// A .proto file as protoc understood it: a `google.protobuf.FileDescriptorProto`, with the comments of the source.
/// Generated code carries it, so that a server can tell what it serves.
public struct FileDescriptor: Sendable {
    /// Path of the file, as in "orderwire/catalog/v1/money.proto".
    public let name: String
    private let base64: StaticString

    /// For generated code.
    public init(_ name: String, base64: StaticString) {
        self.name = name
        self.base64 = base64
    }

    /// The serialized FileDescriptorProto.
    public var serializedBytes: [UInt8] {
        guard let bytes = Base64.decode(base64.withUTF8Buffer { Array($0) }) else {
            preconditionFailure("protoc-gen-orderwire writes valid base64")
        }
        return bytes
    }
}
