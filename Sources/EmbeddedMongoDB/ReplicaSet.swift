internal import MongoDB

/// Makes a lone mongod the primary of a replica set of one.
struct ReplicaSet: ~Copyable {
    static let name = "orderwire"

    /// The codes of MongoDB's error_codes.yml that tell how far the member is.
    private enum Code {
        static let alreadyInitialized = 23
        static let invalidReplicaSetConfig = 93
        static let notYetInitialized = 94
        static let splitHorizonChange = 276
    }

    /// How long one `hello` waits on the server for news.
    private static let patienceMilliseconds = 500

    private let connection: MongodConnection
    private let member: String

    init(_ connection: consuming MongodConnection, port: UInt16) {
        self.connection = connection
        member = "127.0.0.1:\(port)"
    }

    /// Returns when this member takes writes, or false at the deadline.
    func waitForPrimary(until deadline: ContinuousClock.Instant) throws(MongodConnection.Failure) -> Bool {
        var seen: Document?
        repeat {
            guard let hello = try running(Self.hello(after: seen), tolerating: [Code.splitHorizonChange]) else {
                seen = nil
                continue
            }
            if hello.view.find("isWritablePrimary")?.bool == true { return true }
            // Without a set's name the member has no configuration that names it; otherwise its election is to come.
            guard hello.view.contains("setName"), let version = hello.view.find("topologyVersion")?.document else {
                try configure()
                continue
            }
            seen = Document(copying: version)
        } while ContinuousClock.now < deadline
        return false
    }

    /// Answered at once the first time; afterwards when something has changed, or the patience is over.
    private static func hello(after seen: Document?) -> Document {
        adminCommand { command in
            command.append("hello", 1)
            guard let seen else { return }
            command.append("topologyVersion", seen)
            command.append("maxAwaitTimeMS", patienceMilliseconds)
        }
    }

    private func configure() throws(MongodConnection.Failure) {
        do throws(MongodConnection.Failure) {
            _ = try connection.run(Self.adminCommand { $0.append("replSetGetStatus", 1) })
        } catch {
            // Refusals that mean that the member is still loading its configuration are tolerated: hello tells more.
            switch error.code {
            case Code.notYetInitialized:
                let initiate = Self.adminCommand { $0.append("replSetInitiate", configuration) }
                _ = try running(initiate, tolerating: [Code.alreadyInitialized])
            case Code.invalidReplicaSetConfig:
                // The data are of a mongod on another port.
                let reconfigure = Self.adminCommand { command in
                    command.append("replSetReconfig", configuration)
                    command.append("force", true)
                }
                _ = try running(reconfigure, tolerating: [Code.notYetInitialized])
            default: throw error
            }
        }
    }

    private var configuration: Document {
        Document { configuration in
            configuration.append("_id", Self.name)
            configuration.append("version", 1)
            configuration.array("members") { members in
                members.document { one in
                    one.append("_id", 0)
                    one.append("host", member)
                }
            }
        }
    }

    /// Nil if the command was refused with one of these codes.
    private func running(_ command: Document, tolerating codes: [Int]) throws(MongodConnection.Failure) -> Document? {
        do throws(MongodConnection.Failure) {
            return try connection.run(command)
        } catch {
            if codes.contains(error.code) { return nil }
            throw error
        }
    }

    private static func adminCommand(_ build: (inout DocumentBuilder) -> Void) -> Document {
        Document { command in
            build(&command)
            command.append("$db", "admin")
        }
    }
}
