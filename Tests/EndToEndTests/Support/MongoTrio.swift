import EmbeddedMongoDB
import FoundationEssentials
import Glibc
import MongoDB
import Synchronization

/// A replica set of three real mongods, any of which can be killed and started again.
final class MongoTrio: Sendable {
    /// For programs: it names all three.
    let uri: String
    private let members: [Member]

    struct NoPrimary: Error { var states: [String] }

    /// One mongod, and a client that asks it alone.
    private final class Member: Sendable {
        let port: UInt16
        let pool: ClientPool
        private let folder: String
        private let process = Mutex<ChildProcess?>(nil)

        init(folder: String) throws {
            port = PortPicker.free()
            self.folder = folder
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let timeouts = Timeouts(
                connect: .seconds(2), serverSelection: .seconds(3), socket: .seconds(60), waitQueue: .seconds(1), maxTime: .seconds(50))
            pool = try ClientPool.passing(
                uri: "mongodb://127.0.0.1:\(port)/?directConnection=true", appName: "trio", size: 1, timeouts: timeouts)
        }

        func start() async throws {
            let started = try await ChildProcess.start(
                MongodBinary.find(),
                [
                    "--dbpath", folder, "--logpath", folder + "/log", "--logappend", "--replSet", MongoTrio.name, "--bind_ip", "127.0.0.1",
                    "--port", "\(port)", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64",
                    "--networkMessageCompressors", "disabled", "--setParameter", "diagnosticDataCollectionEnabled=false",
                    "--setParameter", "enableTestCommands=1", "--quiet",
                ])
            process.withLock { $0 = started }
        }

        func kill() async {
            let running = process.withLock { $0 }
            running?.signal(SIGKILL)
            _ = await running?.ended()
        }

        func run(_ command: Document) throws(MongoError) -> Document {
            try pool.withClient { client throws(MongoError) in try client.runCommand(command, in: "admin") }
        }

        /// Nil where it does not answer.
        var isPrimary: Bool? {
            do throws(MongoError) {
                let hello = try run(Document { $0.append("hello", 1) })
                return try hello.view.bool("isWritablePrimary")
            } catch {
                return nil
            }
        }
    }

    private static let name = "trio"
    /// Far below MongoDB's 10 s, as nobody here is far away.
    private static let electionTimeoutMilliseconds = 1000

    private init(folder: String) throws {
        members = try (0..<3).map { try Member(folder: "\(folder)/\($0)") }
        uri = "mongodb://\(members.map { "127.0.0.1:\($0.port)" }.joined(separator: ","))/?replicaSet=\(Self.name)"
    }

    /// Runs `body` beside one, which is gone afterwards.
    static func with<Result>(_ body: (MongoTrio) async throws -> Result) async throws -> Result {
        try await withTemporaryFolder { folder in
            let trio = try MongoTrio(folder: folder)
            do {
                for member in trio.members { try await member.start() }
                try await trio.initiate()
                let result = try await body(trio)
                await trio.end()
                return result
            } catch {
                await trio.end()
                throw error
            }
        }
    }

    /// The number of the member that takes writes, once there is one that is not `other`.
    func primary(otherThan other: Int? = nil) async throws -> Int {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            if let index = members.indices.first(where: { $0 != other && members[$0].isPrimary == true }) { return index }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw NoPrimary(states: members.map { "\($0.isPrimary.map { "\($0)" } ?? "away")" })
    }

    func kill(_ index: Int) async { await members[index].kill() }

    func start(_ index: Int) async throws { try await members[index].start() }

    /// Makes a primary resign, and stay away from the office for a while.
    func stepDown(_ index: Int) throws {
        _ = try members[index].run(
            Document { command in
                command.append("replSetStepDown", 40)
                command.append("secondaryCatchUpPeriodSecs", 30)
            })
    }

    /// Lets the others than this member fetch nothing that is written from now on, or go on.
    func setReplication(from index: Int, isOn: Bool) throws {
        for other in members.indices where other != index {
            _ = try members[other].run(
                Document { command in
                    command.append("configureFailPoint", "stopReplProducer")
                    command.append("mode", isOn ? "off" : "alwaysOn")
                })
        }
    }

    /// The last number that a member has given out, as it sees that itself, or as far as it knows that a majority has it.
    func sequence(at index: Int, _ concern: ReadConcern) throws -> Int64 {
        try members[index].pool.withClient { client throws(MongoError) in
            try client.collection("leases", in: "orderwire").findOne(Document(), FindOptions(readConcern: concern)) { row throws(MongoError) in
                try row.int64("sequence")
            } ?? 0
        }
    }

    private func initiate() async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while !members.allSatisfy({ $0.isPrimary != nil }), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(50)) }
        let configuration = Document { configuration in
            configuration.append("_id", Self.name)
            configuration.append("version", 1)
            configuration.array("members") { array in
                for (index, member) in members.enumerated() {
                    array.document { one in
                        one.append("_id", index)
                        one.append("host", "127.0.0.1:\(member.port)")
                    }
                }
            }
            configuration.document("settings") { settings in
                settings.append("electionTimeoutMillis", Self.electionTimeoutMilliseconds)
                settings.append("heartbeatIntervalMillis", Self.electionTimeoutMilliseconds / 2)
            }
        }
        _ = try members[0].run(Document { $0.append("replSetInitiate", configuration) })
        _ = try await primary()
    }

    private func end() async {
        for member in members { await member.kill() }
    }
}
