internal import Glibc
import Synchronization

/// A mongod of our own: a replica set of one, on loopback, that lives no longer than this process.
///
/// It is killed by the kernel when this process dies in whatever way, and stopped cleanly by `stop()`.
package final class EmbeddedMongod: Sendable {
    /// What a start may take, recovery after a kill included. mongod itself waits for 30 s if the port that its data
    /// remember now belongs to somebody who takes connections and says nothing.
    package static let startTimeout = Duration.seconds(60)

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
    /// Given up when the process has ended, so that the next one on the same data can have it.
    private let lease: Mutex<PortLease?>

    private init(
        _ process: MongodProcess, pid: Int32, _ lease: PortLease, _ directory: DataDirectory, after startDuration: Duration
    ) {
        self.process = process
        self.pid = pid
        port = lease.port
        self.lease = Mutex(lease)
        self.directory = directory
        self.startDuration = startDuration
        dataDirectory = directory.path
        uri = "mongodb://127.0.0.1:\(lease.port)/?replicaSet=\(ReplicaSet.name)"
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
        lease.withLock { $0 = nil }
        directory.removeIfTemporary()
    }

    /// Kills it without notice and returns when it is gone. Its data stay, to be started on again.
    package func kill() {
        process.signal(SIGKILL)
        _ = process.waitForExit(milliseconds: -1)
        lease.withLock { $0 = nil }
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

    /// Calls `body` with how it ended, once, when it ends without having been stopped or killed through this instance.
    package func whenItEndsByItself(_ body: @escaping @Sendable (_ status: String) -> Void) {
        process.whenItEndsByItself(body)
    }

    package var isRunning: Bool { process.pid != nil }

    // MARK: Starting

    private static func start(
        _ binary: String, _ directory: DataDirectory, _ extraArguments: [String], begin: ContinuousClock.Instant
    ) throws(EmbeddedMongodError) -> EmbeddedMongod {
        try waitUntilUnused(directory)
        let lease = directory.lastPort.flatMap { PortPicker.lease(again: $0) } ?? PortPicker.lease()
        let port = lease.port
        try directory.remember(port: port)
        let process = try MongodProcess(
            arguments(binary, port: port, directory) + extraArguments, logPath: directory.logPath)
        guard let pid = process.pid else { throw failure(process, directory) }
        do throws(EmbeddedMongodError) {
            try waitForPrimary(process, port: port, directory, since: begin)
        } catch {
            process.signal(SIGKILL)
            _ = process.waitForExit(milliseconds: -1)
            throw error
        }
        return EmbeddedMongod(process, pid: pid, lease, directory, after: ContinuousClock.now - begin)
    }

    private static func arguments(_ binary: String, port: UInt16, _ directory: DataDirectory) -> [String] {
        [
            // Killed with the thread that started it, which ends with this process only.
            "setpriv", "--pdeathsig", "KILL", binary,
            "--dbpath", directory.path, "--replSet", ReplicaSet.name,
            "--bind_ip", "127.0.0.1", "--port", "\(port)", "--nounixsocket",
            // It would take half of the memory otherwise.
            "--wiredTigerCacheSizeGB", "1",
            // By default pages are written out as soon as a twentieth of the cache waits to be. Imports change pages of many
            // indexes at random, so that each would be written again and again. What is lost by a crash does not depend on it.
            "--wiredTigerEngineConfigString",
            "eviction_dirty_target=60,eviction_dirty_trigger=80,eviction_updates_target=50,eviction_updates_trigger=75",
            // 6.0.5 leaks memory to whoever sends it bad zlib data (CVE-2025-14847).
            "--networkMessageCompressors", "disabled",
            // A stopped client blocks others on its documents for no longer than this; the default is 60 s.
            "--setParameter", "transactionLifetimeLimitSeconds=5",
            // Nobody reads what was before that. By default what changes is kept in its old versions for five minutes, and whoever changes
            // a page that has grown large with them writes it out: a settlement then takes 150 ms longer.
            "--setParameter", "minSnapshotHistoryWindowInSeconds=5",
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

    /// Tries until it is primary, has ended, or the time is over. It closes its connections on the way when it finds that
    /// its replica set is another than it thought.
    private static func waitForPrimary(
        _ process: MongodProcess, port: UInt16, _ directory: DataDirectory, since begin: ContinuousClock.Instant
    ) throws(EmbeddedMongodError) {
        let deadline = begin + startTimeout
        var problem = "it does not listen"
        while ContinuousClock.now < deadline {
            if let connection = MongodConnection.open(port: port, timeoutSeconds: Int(startTimeout.components.seconds)) {
                do throws(MongodConnection.Failure) {
                    if try ReplicaSet(connection, port: port).waitForPrimary(until: deadline) { return }
                    problem = "there is no primary"
                } catch {
                    problem = error.text
                }
            }
            // Wakes up at once when the process ends.
            if process.waitForExit(milliseconds: 5) { throw failure(process, directory) }
        }
        throw .notReady(after: startTimeout, reason: problem, log: MongodLog.lastErrors(directory.logPath))
    }

    private static func failure(_ process: MongodProcess, _ directory: DataDirectory) -> EmbeddedMongodError {
        let log = MongodLog.lastErrors(directory.logPath)
        if log.contains(where: { $0.contains("DBPathInUse") }) {
            return .dataDirectoryInUse(path: directory.path, pid: directory.user)
        }
        return .exited(status: process.end ?? "unknown", log: log)
    }
}
