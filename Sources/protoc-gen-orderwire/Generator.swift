import CProto
import ProtoSchema

/// From protoc's request to the generated files.
enum Generator {
    /// What protoc asks for, read through protobuf-c.
    static func generate(
        _ request: UnsafeMutablePointer<Google__Protobuf__Compiler__CodeGeneratorRequest>
    ) throws(PluginError) -> [(name: String, content: String)] {
        let parameters = try Parameters(parsing: text(request.pointee.parameter))
        let wanted = Set(
            UnsafeBufferPointer(start: request.pointee.file_to_generate, count: request.pointee.n_file_to_generate)
                .map { text($0) })
        let all = elements(request.pointee.proto_file, request.pointee.n_proto_file).map { SchemaReader.read($0) }
        let generated = all.filter { wanted.contains($0.name) }
        try Refusals.check(generated, all: all)

        let names = SwiftNames(all, parameters)
        let descriptors = FileDescriptors(request)
        let localPackages = parameters.part == .services ? [] : Set(generated.map(\.package))
        /// Package of each namespace that a file has defined.
        var packages: [String: String] = [:]
        var results: [(name: String, content: String)] = []
        for file in generated {
            let namespace = names.namespace(ofPackage: file.package)
            let package = packages.updateValue(file.package, forKey: namespace)
            if let package, package != file.package {
                throw PluginError(
                    file.name, "\(package) and \(file.package) both become \(namespace): say namespace=\(file.package):NAME")
            }
            let generator = FileGenerator(
                file: file, names: names, parameters: parameters, descriptors: descriptors, localPackages: localPackages,
                definesNamespace: package == nil && parameters.part != .services)
            if let result = generator.generated() { results.append(result) }
        }
        return results
    }
}
