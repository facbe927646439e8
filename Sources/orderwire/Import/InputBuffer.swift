import Glibc

/// A file or a stream that is read piece by piece. What has been read and was not taken yet lies in one piece of memory, so that
/// a row can be looked at as a whole, and memory does not grow with the file.
final class InputBuffer {
    /// The longest row that is taken: far beyond the largest product, and little enough for a batch of such rows to be sent.
    static let maxRowBytes = 1 << 20
    /// Bytes that are asked of the system at once.
    private static let chunk = 1 << 18

    let path: String
    /// Tells this file from others, and from itself after a change; nil for a stream.
    let identity: FileIdentity?
    /// Where what was not taken yet begins, counted from the beginning of the file.
    private(set) var offset = 0
    /// Nothing is left to be read. There may be something left to be taken.
    private(set) var isAtEnd = false

    private let descriptor: Int32
    private var bytes = [UInt8](repeating: 0, count: chunk)
    private var unread = 0..<0

    /// Opens `path`; "-" is standard input.
    init(_ path: String) throws(UsageError) {
        self.path = path
        descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw UsageError("\(path): \(String(cString: strerror(errno)))") }
        identity = FileIdentity(descriptor)
    }

    deinit {
        if descriptor != STDIN_FILENO { close(descriptor) }
    }

    /// Goes on at `offset`, as if all before had been taken.
    func seek(to offset: Int) throws(UsageError) {
        guard lseek(descriptor, off_t(offset), SEEK_SET) == off_t(offset) else { throw UsageError("\(path): \(String(cString: strerror(errno)))") }
        self.offset = offset
        unread = 0..<0
        isAtEnd = false
    }

    /// Looks at what was not taken yet.
    func withUnread<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        bytes.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[unread])) }
    }

    var unreadCount: Int { unread.count }

    func take(_ count: Int) {
        unread = unread.lowerBound + count..<unread.upperBound
        offset += count
    }

    /// Reads more. Afterwards there is more to be taken, or the end is reached.
    func fill() throws(UsageError) {
        if isAtEnd { return }
        makeRoom()
        while true {
            let free = unread.upperBound..<bytes.count
            let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, UnsafeMutableRawBufferPointer(rebasing: $0[free]).baseAddress, free.count) }
            if count >= 0 {
                unread = unread.lowerBound..<unread.upperBound + count
                isAtEnd = count == 0
                return
            }
            if errno != EINTR { throw UsageError("\(path): \(String(cString: strerror(errno)))") }
        }
    }

    /// Moves what is unread to the front, and takes more memory only where that leaves no room.
    private func makeRoom() {
        if unread.lowerBound > 0 {
            let count = unread.count
            bytes.withUnsafeMutableBytes { all in
                UnsafeMutableRawBufferPointer(rebasing: all[..<count]).copyMemory(from: UnsafeRawBufferPointer(rebasing: all[unread]))
            }
            unread = 0..<count
        }
        if bytes.count - unread.upperBound < Self.chunk / 2 {
            bytes.append(contentsOf: repeatElement(0, count: bytes.count))
        }
    }
}

// MARK: - Lines

extension InputBuffer {
    /// A stretch up to a line end, as far as it may go.
    enum Line: Equatable {
        /// So many bytes, of which the last `lineEnd` end the line. 0 in the last line of a file that ends without one.
        case whole(count: Int, lineEnd: Int)
        /// Longer than a row may be.
        case tooLong
    }

    /// The next line; nil at the end. It is not taken.
    func line() throws(UsageError) -> Line? {
        var searched = 0
        while true {
            let found = withUnread { bytes -> Int? in
                guard let base = bytes.baseAddress, bytes.count > searched,
                    let place = memchr(base + searched, Int32(UInt8(ascii: "\n")), bytes.count - searched)
                else { return nil }
                return UnsafeRawPointer(place) - UnsafeRawPointer(base)
            }
            if let found {
                guard found < Self.maxRowBytes else { return .tooLong }
                let isPair = found > 0 && withUnread { $0[found - 1] == UInt8(ascii: "\r") }
                return .whole(count: found + 1, lineEnd: isPair ? 2 : 1)
            }
            if unreadCount >= Self.maxRowBytes { return .tooLong }
            if isAtEnd { return unreadCount == 0 ? nil : .whole(count: unreadCount, lineEnd: 0) }
            searched = unreadCount
            try fill()
        }
    }

    /// Takes all up to and with the next line end, however far it is, and hands it on in pieces.
    func skipLine(_ body: (UnsafeBufferPointer<UInt8>) throws -> Void) throws {
        while true {
            let (count, isWhole) = withUnread { bytes in
                bytes.firstIndex(of: UInt8(ascii: "\n")).map { ($0 + 1, true) } ?? (bytes.count, isAtEnd)
            }
            try withUnread { bytes in Result { try body(UnsafeBufferPointer(rebasing: bytes[..<count])) } }.get()
            take(count)
            if isWhole { return }
            try fill()
        }
    }

    /// Takes a byte order mark, as some programs write it at the beginning of a file.
    func skipByteOrderMark() throws(UsageError) {
        while unreadCount < 3 && !isAtEnd { try fill() }
        if offset == 0, withUnread({ $0.starts(with: [0xEF, 0xBB, 0xBF]) }) { take(3) }
    }
}

/// What tells a file from another one, and from itself after it was changed.
struct FileIdentity: Codable, Equatable {
    var device: UInt64
    var inode: UInt64
    var size: Int
    /// Nanoseconds since 1970.
    var modified: Int64

    /// Nil for what is no regular file, and so can be neither sized nor read again.
    init?(_ descriptor: Int32) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int(status.st_size)
        modified = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
    }
}
