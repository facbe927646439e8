internal import CProto
package import Protobuf

extension SchemaFile {
    /// Reads a serialized `google.protobuf.FileDescriptorSet` that a stranger may have sent.
    package static func read(fileDescriptorSet bytes: [UInt8]) throws(DecodingError) -> [SchemaFile] {
        let descriptor = MessageDescriptor(google__protobuf__file_descriptor_set__init)
        return try descriptor.withDecoded(bytes, as: Google__Protobuf__FileDescriptorSet.self) { set in
            elements(set.pointee.file, set.pointee.n_file).map { SchemaReader.read($0) }
        }
    }
}
