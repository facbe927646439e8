internal import Glibc
internal import MongoDB
import Synchronization

/// A mongod of our own: a replica set of one, on loopback, that lives no longer than this process.
///
/// It is killed by the kernel when this process dies in whatever way, and stopped cleanly by `stop()`.
package final class EmbeddedMongod: Sendable {
    /// What a start may take, recovery after a kill included.
    package static let startTimeout = Duration.seconds(30)

    /// How long a mongod whose parent was just killed may take to let go of its data.
    private static let inUsePatience = Duration.seconds(2)
    private static let stopPatienceMilliseconds: Int32 = 10_000

    package let uri: String
    package let port: UInt16
    package let pid: Int32
    package let dataDirectory: String
    /// From the call of `start` until it took writes.
    package let startDuration: Duration

    private let process: MongodProcess
    private let directory: DataDirectory

    private init(_ process: MongodProcess, pid: Int32, port: UInt16, _ directory: DataDirectory, after startDuration: Duration) {
        self.process = process
        self.pid = pid
        self.port = port
        self.directory = directory
        self.startDuration = startDuration
        dataDirectory = directory.path
        uri = "mongodb://127.0.0.1:\(port)/?replicaSet=\(ReplicaSet.name)"
    }

    /// An instance that nobody holds any more is stopped; its keeper reaps it.
    deinit {
        process.signal(SIGTERM)
    }

    /// Starts a mongod and returns when it takes writes.
    ///
    /// - Parameters:
    ///   - dataDirectory: where its data are kept; nil for a temporary folder, which `stop` removes.
    ///   - binary: the mongod to run; nil looks at ORDERWIRE_MONGOD, the cache and PATH.
    ///   - extraArguments: for tests.
    package static func start(
        dataDirectory: String? = nil, binary: String? = nil, extraArguments: [String] = []
    ) throws(EmbeddedMongodError) -> EmbeddedMongod {
        let begin = ContinuousClock.now
        let binary = try MongodBinary.find(binary)
        let directory =
            if let dataDirectory { try DataDirectory(existing: dataDirectory) } else {
                try DataDirectory(temporaryIn: DataDirectory.temporaryParent())
            }
        do throws(EmbeddedMongodError) {
            return try start(binary, directory, extraArguments, begin: begin)
        } catch {
            directory.removeIfTemporary()
            throw error
        }
    }

    /// Stops it: cleanly with SIGTERM, and by force if that takes too long. Returns when it is gone; a second call does
    /// nothing.
    package func stop() {
        process.signal(SIGTERM)
        if !process.waitForExit(milliseconds: Self.stopPatienceMilliseconds) { kill() }
        directory.removeIfTemporary()
    }

    /// Kills it without notice and returns when it is gone. Its data stay, to be started on again.
    package func kill() {
        process.signal(SIGKILL)
        _ = process.waitForExit(milliseconds: -1)
    }

    /// Kills it and removes its data, if they are temporary.
    package func discard() {
        kill()
        directory.removeIfTemporary()
    }

    /// Sends it a signal, such as SIGSTOP in tests of what happens without a database.
    package func signal(_ number: Int32) {
        process.signal(number)
    }

    package var isRunning: Bool { process.pid != nil }

    // MARK: Starting

    private static func start(
        _ binary: String, _ directory: DataDirectory, _ extraArguments: [String], begin: ContinuousClock.Instant
    ) throws(EmbeddedMongodError) -> EmbeddedMongod {
        try waitUntilUnused(directory)
        let port = directory.lastPort.flatMap { PortPicker.take($0) ? $0 : nil } ?? PortPicker.free()
        try directory.remember(port: port)
        let process = try MongodProcess(
            arguments(binary, port: port, directory) + extraArguments, logPath: directory.logPath)
        guard let pid = process.pid else { throw failure(process, directory) }
        do throws(EmbeddedMongodError) {
            let deadline = begin + startTimeout
            try waitForListener(process, port: port, directory, until: deadline)
            try waitForPrimary(process, port: port, directory, until: deadline)
        } catch {
            process.signal(SIGKILL)
            _ = process.waitForExit(milliseconds: -1)
            throw error
        }
        return EmbeddedMongod(process, pid: pid, port: port, directory, after: ContinuousClock.now - begin)
    }

    private static func arguments(_ binary: String, port: UInt16, _ directory: DataDirectory) -> [String] {
        [
            // Killed with the thread that started it, which ends with this process only.
            "setpriv", "--pdeathsig", "KILL", binary,
            "--dbpath", directory.path, "--replSet", ReplicaSet.name,
            "--bind_ip", "127.0.0.1", "--port", "\(port)", "--nounixsocket",
            // It would take half of the memory otherwise.
            "--wiredTigerCacheSizeGB", "1",
            // 6.0.5 leaks memory to whoever sends it bad zlib data (CVE-2025-14847).
            "--networkMessageCompressors", "disabled",
            // A stopped client blocks others on its documents for no longer than this; the default is 60 s.
            "--setParameter", "transactionLifetimeLimitSeconds=5",
            "--setParameter", "diagnosticDataCollectionEnabled=false",
            "--quiet",
        ]
    }

    /// Waits a moment for a mongod that is just being killed, then says whose the data are.
    private static func waitUntilUnused(_ directory: DataDirectory) throws(EmbeddedMongodError) {
        let deadline = ContinuousClock.now + inUsePatience
        while directory.isInUse {
            guard ContinuousClock.now < deadline else {
                throw .dataDirectoryInUse(path: directory.path, pid: directory.user)
            }
            usleep(10_000)
        }
    }

    private static func waitForListener(
        _ process: MongodProcess, port: UInt16, _ directory: DataDirectory, until deadline: ContinuousClock.Instant
    ) throws(EmbeddedMongodError) {
        while !isListening(on: port) {
            // Wakes up at once when the process ends.
            if process.waitForExit(milliseconds: 5) { throw failure(process, directory) }
            guard ContinuousClock.now < deadline else {
                throw .notReady(
                    after: startTimeout, reason: "it does not listen", log: MongodLog.lastErrors(directory.logPath))
            }
        }
    }

    private static func isListening(on port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withSocketAddress(port: port, host: INADDR_LOOPBACK) { connect(descriptor, $0, $1) } == 0
    }

    private static func waitForPrimary(
        _ process: MongodProcess, port: UInt16, _ directory: DataDirectory, until deadline: ContinuousClock.Instant
    ) throws(EmbeddedMongodError) {
        let problem: String?
        do throws(MongoError) {
            problem = try ReplicaSet(port: port).waitForPrimary(until: deadline)
        } catch {
            if process.waitForExit(milliseconds: 100) { throw failure(process, directory) }
            problem = error.description
        }
        if let problem {
            throw .notReady(after: startTimeout, reason: problem, log: MongodLog.lastErrors(directory.logPath))
        }
    }

    private static func failure(_ process: MongodProcess, _ directory: DataDirectory) -> EmbeddedMongodError {
        let log = MongodLog.lastErrors(directory.logPath)
        if log.contains(where: { $0.contains("DBPathInUse") }) {
            return .dataDirectoryInUse(path: directory.path, pid: directory.user)
        }
        return .exited(status: process.end ?? "unknown", log: log)
    }
}
