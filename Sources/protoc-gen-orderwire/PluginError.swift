/// Why no code was generated, for the user of protoc.
struct PluginError: Error {
    let message: String

    /// A fault in one place of a .proto file.
    init(_ place: String, _ message: String) {
        self.message = "\(place): \(message)"
    }
}
