import EmbeddedMongoDB
import Foundation
import MongoDB
import Synchronization
import Testing
import TestSupport

/// A real mongod each.
@Suite(.blocking) struct EmbeddedMongodTests {
    @Test func startsNewAndStopsWithoutATrace() throws {
        let mongod = try EmbeddedMongod.start()
        #expect(mongod.isRunning)
        #expect(mongod.port < 32_768)
        try insert(into: mongod)
        mongod.stop()
        mongod.stop()
        #expect(!mongod.isRunning)
        #expect(kill(mongod.pid, 0) != 0)
        #expect(access(mongod.dataDirectory, F_OK) != 0)
    }

    @Test func takesTheOptionsThatKeepItSmallAndSafe() throws {
        let mongod = try EmbeddedMongod.start()
        defer { mongod.discard() }
        try withClient(of: mongod) { (client) throws(MongoError) in
            let options = try client.runCommand(Document { $0.append("getCmdLineOpts", 1) }, in: "admin")
            let parsed = try options.view.document("parsed")
            let bindIP = try parsed.document("net").string("bindIp")
            let compressors = try parsed.document("net").document("compression").string("compressors")
            let cache = try parsed.document("storage").document("wiredTiger").document("engineConfig").double("cacheSizeGB")
            let limit = try parsed.document("setParameter").string("transactionLifetimeLimitSeconds")
            let history = try parsed.document("setParameter").string("minSnapshotHistoryWindowInSeconds")
            #expect((bindIP, compressors, cache, limit, history) == ("127.0.0.1", "disabled", 1, "5", "5"))
        }
    }

    /// What a killed mongod leaves is a mongod.lock with its number in it.
    @Test func aStaleLockIsNoProblemAndDataAndPortAreKept() throws {
        let folder = try TemporaryFolder()
        let first = try EmbeddedMongod.start(dataDirectory: folder.path)
        try insert(into: first)
        first.kill()
        let lock = try String(contentsOfFile: folder.path + "/mongod.lock", encoding: .utf8)
        #expect(lock.hasPrefix("\(first.pid)"))
        let second = try EmbeddedMongod.start(dataDirectory: folder.path)
        #expect(second.port == first.port)
        #expect(try count(in: second) == 1)
        second.stop()
        #expect(access(folder.path + "/WiredTiger", F_OK) == 0)
    }

    @Test func itMovesToAnotherPortWhenItsOwnIsTaken() throws {
        let folder = try TemporaryFolder()
        let first = try EmbeddedMongod.start(dataDirectory: folder.path)
        try insert(into: first)
        first.stop()
        let lease = try #require(PortPicker.lease(again: first.port))
        let second = try EmbeddedMongod.start(dataDirectory: folder.path)
        #expect(second.port != lease.port)
        #expect(try count(in: second) == 1)
        second.kill()
    }

    @Test func aDataDirectoryInUseSaysByWhom() throws {
        let folder = try TemporaryFolder()
        let first = try EmbeddedMongod.start(dataDirectory: folder.path)
        defer { first.kill() }
        let error = startFailure(dataDirectory: folder.path)
        #expect(error == .dataDirectoryInUse(path: folder.path, pid: first.pid))
        #expect(error?.description.contains("in use by another mongod (process \(first.pid))") == true)
        try insert(into: first)
    }

    /// The second start proves that the first mongod is gone: its data are free.
    @Test func itDiesWithItsProcess() async throws {
        let folder = try TemporaryFolder()
        let path: String = folder.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let mongod = try EmbeddedMongod.start(dataDirectory: path)
            kill(getpid(), SIGKILL)
            mongod.stop()
        }
        let second = try EmbeddedMongod.start(dataDirectory: path)
        second.kill()
    }

    /// The kernel's parent-death signal is about the thread that forked.
    @Test func itOutlivesTheThreadThatAskedForIt() throws {
        let started = Mutex<Result<EmbeddedMongod, any Error>?>(nil)
        runInThread { started.withLock { $0 = Result { try EmbeddedMongod.start() } } }
        let mongod = try #require(started.withLock { $0 }).get()
        try insert(into: mongod)
        mongod.discard()
    }

    @Test func aFailedStartQuotesTheLog() throws {
        let unknown = startFailure(extraArguments: ["--no-such-option"])
        #expect(unknown?.description.contains("no-such-option") == true)
        #expect(unknown?.description.contains("exit code 2") == true)

        let folder = try TemporaryFolder()
        try EmbeddedMongod.start(dataDirectory: folder.path).stop()
        try "nonsense".write(toFile: folder.path + "/WiredTiger.turtle", atomically: true, encoding: .utf8)
        let corrupt = startFailure(dataDirectory: folder.path)
        #expect(corrupt?.description.contains("WiredTiger") == true)
        #expect(corrupt?.description.contains("\"s\":\"I\"") == false)
    }

    @Test func aProgramThatIsNotMongodIsAnError() {
        guard case .exited("exit code 1", _) = startFailure(binary: "/bin/false") else {
            Issue.record("/bin/false is no mongod")
            return
        }
        #expect(startFailure(binary: "/no/such/mongod") == .binaryNotFound(searched: ["/no/such/mongod"]))
    }

    @Test func theBinaryIsFoundByTheEnvironmentFirst() async {
        await #expect(processExitsWith: .success) {
            setenv("ORDERWIRE_MONGOD", "/no/such/mongod", 1)
            #expect(startFailure() == .binaryNotFound(searched: ["/no/such/mongod"]))
            unsetenv("ORDERWIRE_MONGOD")
            setenv("ORDERWIRE_CACHE", "/no/such/cache", 1)
            setenv("PATH", "/no/such/path", 1)
            let searched = ["ORDERWIRE_MONGOD", "/no/such/cache/mongod-6.0.5/mongod", "PATH"]
            #expect(startFailure() == .binaryNotFound(searched: searched))
        }
    }

    @Test(arguments: ["/dev/null/data", "/etc/hostname", "/bin/sh"])
    func aDataDirectoryThatIsNoneIsAnError(path: String) {
        guard case .dataDirectoryUnusable(path, _) = startFailure(dataDirectory: path) else {
            Issue.record("\(path) is no folder")
            return
        }
    }

    @Test func temporaryFoldersOfKilledProcessesAreRemoved() throws {
        let abandoned = FileManager.default.temporaryDirectory.path + "/orderwire-mongod.\(UUID().uuidString)"
        let fresh = FileManager.default.temporaryDirectory.path + "/orderwire-mongod.\(UUID().uuidString)"
        for path in [abandoned, fresh] {
            try FileManager.default.createDirectory(atPath: path + "/journal", withIntermediateDirectories: true)
            try "1".write(toFile: path + "/journal/log", atomically: true, encoding: .utf8)
        }
        defer { try? FileManager.default.removeItem(atPath: fresh) }
        let longAgo = timeval(tv_sec: time(nil) - 3_600, tv_usec: 0)
        #expect(utimes(abandoned, [longAgo, longAgo]) == 0)
        try EmbeddedMongod.start().discard()
        #expect(access(abandoned, F_OK) != 0)
        #expect(access(fresh, F_OK) == 0)
    }
}

/// A folder that goes away with its last reference.
final class TemporaryFolder {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("orderwire-test.\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

private func startFailure(
    dataDirectory: String? = nil, binary: String? = nil, extraArguments: [String] = []
) -> EmbeddedMongodError? {
    do throws(EmbeddedMongodError) {
        let mongod = try EmbeddedMongod.start(
            dataDirectory: dataDirectory, binary: binary, extraArguments: extraArguments)
        mongod.discard()
        return nil
    } catch {
        return error
    }
}

private func withClient<R>(
    of mongod: EmbeddedMongod, _ body: (borrowing Client) throws(MongoError) -> R
) throws -> R {
    try ClientPool.passing(uri: mongod.uri, appName: "test", timeouts: .background).withClient(body)
}

private func insert(into mongod: EmbeddedMongod) throws {
    try withClient(of: mongod) { (client) throws(MongoError) in
        try client.collection("things", in: "test").insertOne(Document { $0.append("_id", 1) })
    }
}

private func count(in mongod: EmbeddedMongod) throws -> Int64 {
    try withClient(of: mongod) { (client) throws(MongoError) in
        try client.collection("things", in: "test").count(Document())
    }
}
