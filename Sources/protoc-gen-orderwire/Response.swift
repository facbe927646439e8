import CProto
import Glibc

/// The CodeGeneratorResponse. Its memory is freed by the end of the process.
struct Response {
    private var response = Google__Protobuf__Compiler__CodeGeneratorResponse()

    /// Names the files that were generated.
    init(files: [(name: String, content: String)]) {
        initialize()
        let pointers = UnsafeMutablePointer<UnsafeMutablePointer<Google__Protobuf__Compiler__CodeGeneratorResponse__File>?>
            .allocate(capacity: max(files.count, 1))
        for (index, file) in files.enumerated() {
            let pointer = UnsafeMutablePointer<Google__Protobuf__Compiler__CodeGeneratorResponse__File>.allocate(capacity: 1)
            google__protobuf__compiler__code_generator_response__file__init(pointer)
            pointer.pointee.name = strdup(file.name)
            pointer.pointee.content = strdup(file.content)
            (pointers + index).initialize(to: pointer)
        }
        response.n_file = files.count
        response.file = pointers
    }

    /// Says why there are none.
    init(error: String) {
        initialize()
        response.error = strdup(error)
    }

    private mutating func initialize() {
        google__protobuf__compiler__code_generator_response__init(&response)
        // Without this feature protoc refuses proto3 optional in words of its own, which do not say what to do instead.
        response.has_supported_features = 1
        response.supported_features = 1
    }

    /// The bytes for protoc.
    func packed() -> [UInt8] {
        withUnsafePointer(to: response) { response in
            [UInt8](
                unsafeUninitializedCapacity: google__protobuf__compiler__code_generator_response__get_packed_size(response)
            ) { buffer, count in
                count = google__protobuf__compiler__code_generator_response__pack(response, buffer.baseAddress)
            }
        }
    }
}
