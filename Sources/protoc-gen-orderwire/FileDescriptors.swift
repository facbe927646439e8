import CProto
import ProtoSchema
import Protobuf

/// protoc's descriptions of .proto files, as generated code carries them.
struct FileDescriptors {
    private typealias CFile = Google__Protobuf__FileDescriptorProto
    private typealias CLocation = Google__Protobuf__SourceCodeInfo__Location

    /// All files of protoc's request, each after those that it imports.
    private let files: [(name: String, dependencies: [String], pointer: UnsafeMutablePointer<CFile>)]

    init(_ request: UnsafeMutablePointer<Google__Protobuf__Compiler__CodeGeneratorRequest>) {
        files = elements(request.pointee.proto_file, request.pointee.n_proto_file).map { file in
            let dependencies = UnsafeBufferPointer(start: file.pointee.dependency, count: file.pointee.n_dependency)
            return (text(file.pointee.name), dependencies.map { text($0) }, file)
        }
    }

    /// The file and all that it imports, each after those that it imports itself, in base64.
    func reachable(from name: String) -> [(name: String, base64: String)] {
        var wanted: Set = [name]
        for file in files.reversed() where wanted.contains(file.name) { wanted.formUnion(file.dependencies) }
        return files.filter { wanted.contains($0.name) }.map { ($0.name, Self.base64($0.pointer)) }
    }

    private static func base64(_ file: UnsafeMutablePointer<CFile>) -> String {
        var copy = file.pointee
        var info = copy.source_code_info?.pointee ?? .init()
        // Of the places in the source only those with a comment are of use, and Google's comments are not ours to copy.
        let isOurs = text(copy.package) != "google.protobuf"
        var locations = elements(info.location, info.n_location).filter(isCommented).map(Optional.some)
        return locations.withUnsafeMutableBufferPointer { locations in
            (info.location, info.n_location) = (locations.baseAddress, locations.count)
            return withUnsafeMutablePointer(to: &info) { info in
                copy.source_code_info = isOurs && info.pointee.n_location > 0 ? info : nil
                return withUnsafePointer(to: &copy) { Base64.encode(packed($0)) }
            }
        }
    }

    private static func isCommented(_ location: UnsafeMutablePointer<CLocation>) -> Bool {
        !text(location.pointee.leading_comments).isEmpty || !text(location.pointee.trailing_comments).isEmpty
    }

    private static func packed(_ file: UnsafePointer<CFile>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: google__protobuf__file_descriptor_proto__get_packed_size(file)) { buffer, count in
            count = google__protobuf__file_descriptor_proto__pack(file, buffer.baseAddress)
        }
    }
}
