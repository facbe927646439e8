internal import CProto
package import Protobuf

extension SchemaFile {
    /// Descriptions have many small parts: a field with its comment has about 10. Ours have 3,000 in all.
    private static let limits = DecodingLimits(maxElements: 1_000_000, maxArenaBytes: 256 << 20)

    /// Reads a serialized `google.protobuf.FileDescriptorSet` that a stranger may have sent.
    package static func read(fileDescriptorSet bytes: [UInt8]) throws(DecodingError) -> [SchemaFile] {
        let descriptor = MessageDescriptor(google__protobuf__file_descriptor_set__init)
        return try descriptor.withDecoded(bytes, as: Google__Protobuf__FileDescriptorSet.self, limits: limits) { set in
            elements(set.pointee.file, set.pointee.n_file).map { SchemaReader.read($0) }
        }
    }
}
