import MongoDB
import Testing
import TestSupport

/// A pool to the shared mongod, and a database of one test's own.
struct TestPool {
    let pool: ClientPool
    let database: String
    let appName: String

    /// Tests that ask nothing of their pool have one together.
    private static let common = Result { try ClientPool(uri: TestMongo.shared.uri, appName: "tests", timeouts: .calls) }

    init() throws {
        database = TestMongo.freshDatabase().name
        appName = "tests"
        pool = try Self.common.get()
    }

    /// With a pool of its own, which a fail point finds by its app name.
    init(size: Int, timeouts: Timeouts = .calls) throws {
        let (uri, name) = TestMongo.freshDatabase()
        database = name
        appName = name
        pool = try ClientPool.passing(uri: uri, appName: name, size: size, timeouts: timeouts)
    }

    /// Runs `body` with a client and the collection `things`.
    func withThings<R>(_ body: (borrowing Client, borrowing Collection) throws(MongoError) -> R) throws(MongoError) -> R {
        try pool.withClient { (client) throws(MongoError) in
            try body(client, client.collection("things", in: database))
        }
    }

    /// Makes the server fail this pool's next commands of that name, as `data` says, while `body` runs.
    func withFailing(
        _ command: String, times: Int, _ data: (inout DocumentBuilder) -> Void, during body: () throws -> Void
    ) throws {
        try TestMongo.withFailPoint(command, times: times, appName: appName, data, during: body)
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

/// Runs `operation` again and again while the database is away, which each time takes as long as it does to select a
/// server; the error of the last time after `deadline`.
func eventually<R>(
    until deadline: ContinuousClock.Instant, _ operation: () throws(MongoError) -> R
) throws(MongoError) -> R {
    while true {
        do throws(MongoError) {
            return try operation()
        } catch {
            let isAway = [.network, .serverSelection, .notPrimary].contains(error.kind)
            guard isAway, ContinuousClock.now < deadline else { throw error }
        }
    }
}
