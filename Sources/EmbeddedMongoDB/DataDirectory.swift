internal import Glibc

/// The folder a mongod keeps its data in: given, or a temporary one that goes away with its user.
struct DataDirectory: Sendable {
    let path: String
    let isTemporary: Bool

    private static let temporaryPrefix = "orderwire-mongod."
    /// How long a temporary folder without an owner is left alone: somebody may be about to own it.
    private static let abandonedAfterSeconds = 60

    var logPath: String { "\(path)/mongod.log" }
    private var mongodLockPath: String { "\(path)/mongod.lock" }
    private var ownerPath: String { "\(path)/owner.lock" }
    private var portPath: String { "\(path)/port" }

    /// The folder at `path`, made if it is missing; its owner alone may read it.
    init(existing path: String) throws(EmbeddedMongodError) {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/\(part)"
            guard mkdir(made, 0o700) == 0 || errno == EEXIST else {
                throw .dataDirectoryUnusable(path: path, reason: lastError())
            }
        }
        guard let full = realpath(path, nil) else { throw .dataDirectoryUnusable(path: path, reason: lastError()) }
        defer { free(full) }
        self.path = String(cString: full)
        isTemporary = false
        var status = stat()
        guard stat(self.path, &status) == 0, access(self.path, W_OK | X_OK) == 0 else {
            throw .dataDirectoryUnusable(path: path, reason: lastError())
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw .dataDirectoryUnusable(path: path, reason: errnoText(ENOTDIR))
        }
    }

    /// A new folder. Those that killed processes left behind are removed on the way.
    init(temporaryIn parent: String) throws(EmbeddedMongodError) {
        Self.removeAbandoned(in: parent)
        var template = Array("\(parent)/\(Self.temporaryPrefix)XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw .dataDirectoryUnusable(path: parent, reason: lastError()) }
        path = String(cString: made)
        isTemporary = true
        // Held, by the descriptor left open, as long as this process lives.
        let owner = open(ownerPath, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard owner >= 0, flock(owner, LOCK_EX | LOCK_NB) == 0 else {
            throw .dataDirectoryUnusable(path: path, reason: lastError())
        }
    }

    static func temporaryParent() -> String {
        MongodBinary.variable("TMPDIR") ?? "/tmp"
    }

    // MARK: In use

    /// Whether a mongod has the data open: it holds a lock on `mongod.lock`, which the kernel drops with its last breath.
    /// A file without a lock is what a killed mongod leaves, and no problem.
    var isInUse: Bool {
        Self.isLocked(mongodLockPath)
    }

    /// The process that wrote `mongod.lock`.
    var user: Int32? {
        contents(mongodLockPath).flatMap { Int32($0.filter(\.isNumber)) }
    }

    private static func isLocked(_ path: String) -> Bool {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    // MARK: The port of last time

    /// The replica set remembers its member by host and port, so the same port again spares it a new configuration.
    var lastPort: UInt16? {
        contents(portPath).flatMap { UInt16($0.filter(\.isNumber)) }
    }

    func remember(port: UInt16) throws(EmbeddedMongodError) {
        let file = open(portPath, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .dataDirectoryUnusable(path: path, reason: lastError()) }
        defer { close(file) }
        let text = Array("\(port)\n".utf8)
        guard write(file, text, text.count) == text.count else {
            throw .dataDirectoryUnusable(path: path, reason: lastError())
        }
    }

    private func contents(_ file: String) -> String? {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
    }

    // MARK: Removal

    /// Removes a temporary folder with all that is in it; leaves any other alone.
    func removeIfTemporary() {
        if isTemporary { Self.remove(path) }
    }

    private static func removeAbandoned(in parent: String) {
        for name in names(in: parent) where name.hasPrefix(temporaryPrefix) {
            let folder = "\(parent)/\(name)"
            var status = stat()
            guard lstat(folder, &status) == 0, status.st_uid == getuid(), status.st_mode & S_IFMT == S_IFDIR,
                time(nil) - status.st_mtim.tv_sec > abandonedAfterSeconds,
                !isLocked("\(folder)/owner.lock"), !isLocked("\(folder)/mongod.lock")
            else { continue }
            remove(folder)
        }
    }

    private static func remove(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in names(in: path) { remove("\(path)/\(name)") }
            rmdir(path)
        } else {
            unlink(path)
        }
    }

    private static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}
