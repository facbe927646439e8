import MongoDB
import Testing
import TestSupport

/// A pool to the shared mongod and a database of its own, with an app name by which fail points find this test alone.
struct TestPool {
    let pool: ClientPool
    let database: String
    let appName: String

    init(size: Int = 4, timeouts: Timeouts = .calls) throws {
        let (uri, name) = TestMongo.freshDatabase()
        database = name
        appName = name
        pool = try ClientPool(uri: uri, appName: name, size: size, timeouts: timeouts)
    }

    /// Runs `body` with a client and the collection `things`.
    func withThings<R>(_ body: (borrowing Client, borrowing Collection) throws(MongoError) -> R) throws(MongoError) -> R {
        try pool.withClient { (client) throws(MongoError) in
            try body(client, client.collection("things", in: database))
        }
    }

    /// Makes the server fail this pool's next commands of that name, as `data` says.
    func fail(_ command: String, times: Int, _ data: (inout DocumentBuilder) -> Void) throws(MongoError) {
        let failPoint = Document { document in
            document.append("configureFailPoint", "failCommand")
            document.document("mode") { $0.append("times", times) }
            document.document("data") { details in
                details.append("failCommands", [command])
                details.append("appName", appName)
                data(&details)
            }
        }
        // Not by this pool, whose commands may be the ones that fail.
        let other = try ClientPool(uri: TestMongo.shared.uri, appName: "fail-points", size: 1, timeouts: .calls)
        try other.withClient { (client) throws(MongoError) in _ = try client.runCommand(failPoint, in: "admin") }
    }
}

/// `{_id: id}`
func byID(_ id: Int) -> Document {
    Document { $0.append("_id", id) }
}

func thing(_ id: Int, _ value: Int = 0) -> Document {
    Document { document in
        document.append("_id", id)
        document.append("value", value)
    }
}

let everything = Document()

func increment(_ value: Int = 1) -> Update {
    Update { $0.document("$inc") { $0.append("value", value) } }
}

/// The error that `body` throws; records an issue if it does not.
func failure(_ body: () throws(MongoError) -> Void, sourceLocation: SourceLocation = #_sourceLocation) -> MongoError? {
    do throws(MongoError) {
        try body()
        Issue.record("nothing was thrown", sourceLocation: sourceLocation)
        return nil
    } catch {
        return error
    }
}
