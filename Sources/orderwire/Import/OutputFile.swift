import Glibc

/// A file that rows are appended to.
final class OutputFile {
    private let descriptor: Int32
    private let path: String
    private(set) var size: Int

    /// Opens or creates `path`, and keeps the first `size` bytes of it.
    ///
    /// - Parameter input: a file that must not be this one.
    init(_ path: String, keeping size: Int, notOver input: FileIdentity?) throws(UsageError) {
        self.path = path
        self.size = size
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw UsageError("\(path): \(String(cString: strerror(errno)))") }
        if let input, let own = FileIdentity(descriptor), own.device == input.device, own.inode == input.inode {
            throw UsageError("\(path): this is the file that is to be imported")
        }
        // What is no regular file, such as a pipe, has nothing to be cut.
        guard FileIdentity(descriptor) == nil || (ftruncate(descriptor, off_t(size)) == 0 && lseek(descriptor, 0, SEEK_END) >= 0) else {
            throw UsageError("\(path): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    func write(_ bytes: some Collection<UInt8>) throws(UsageError) {
        try Self.write(Array(bytes), to: descriptor, path)
        size += bytes.count
    }

    static func write(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws(UsageError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: $0[written...]).baseAddress, $0.count - written) }
            if count < 0 && errno != EINTR { throw UsageError("\(path): \(String(cString: strerror(errno)))") }
            written += max(count, 0)
        }
    }
}
