internal import MongoDB

/// Makes a lone mongod the primary of a replica set of one.
struct ReplicaSet: ~Copyable {
    static let name = "orderwire"

    /// The codes of MongoDB's error_codes.yml that tell how far the member is.
    private enum Code {
        static let alreadyInitialized = 23
        static let invalidReplicaSetConfig = 93
        static let notYetInitialized = 94
    }

    /// How long one `hello` waits on the server for news.
    private static let patienceMilliseconds = 500

    private let pool: ClientPool
    private let member: String

    init(port: UInt16) throws(MongoError) {
        member = "127.0.0.1:\(port)"
        let timeouts = Timeouts(
            connect: .seconds(2), serverSelection: .seconds(2), socket: .seconds(10), waitQueue: .seconds(1),
            maxTime: .seconds(5))
        pool = try ClientPool(
            uri: "mongodb://\(member)/?directConnection=true", appName: "orderwire-start", size: 1, timeouts: timeouts)
    }

    /// Returns when this member takes writes; nil means that it does, a text what it waits for at the deadline.
    func waitForPrimary(until deadline: ContinuousClock.Instant) throws(MongoError) -> String? {
        try pool.withClient { (client) throws(MongoError) in
            var seen: Document?
            repeat {
                let hello = try client.runCommand(Self.hello(after: seen), in: "admin")
                if hello.view.find("isWritablePrimary")?.bool == true { return nil }
                // Without a set's name the member has no configuration yet; otherwise wait for its election.
                if hello.view.contains("setName") {
                    seen = try Document(copying: hello.view.document("topologyVersion"))
                } else {
                    try configure(client)
                }
            } while ContinuousClock.now < deadline
            return "the replica set has no primary"
        }
    }

    /// Answers at once the first time; afterwards when something changed, or the patience is over.
    private static func hello(after seen: Document?) -> Document {
        Document { command in
            command.append("hello", 1)
            guard let seen else { return }
            command.append("topologyVersion", seen)
            command.append("maxAwaitTimeMS", patienceMilliseconds)
        }
    }

    private func configure(_ client: borrowing Client) throws(MongoError) {
        do {
            try client.runCommand(Document { $0.append("replSetGetStatus", 1) }, in: "admin")
        } catch where error.code == Code.notYetInitialized {
            try ignoring([Code.alreadyInitialized], client, Document { $0.append("replSetInitiate", configuration) })
        } catch where error.code == Code.invalidReplicaSetConfig {
            // The data are of a mongod on another port.
            try ignoring(
                [Code.notYetInitialized], client,
                Document {
                    $0.append("replSetReconfig", configuration)
                    $0.append("force", true)
                })
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

    /// Runs a command whose named refusals mean that the member is still loading its configuration: ask again.
    private func ignoring(_ codes: [Int], _ client: borrowing Client, _ command: Document) throws(MongoError) {
        do {
            try client.runCommand(command, in: "admin")
        } catch where codes.contains(error.code) {
            return
        }
    }
}
