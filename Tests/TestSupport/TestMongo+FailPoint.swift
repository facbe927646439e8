import MongoDB
import Synchronization

extension TestMongo {
    /// The server has one `failCommand` for all, so those who use it take turns.
    private static let turn = Mutex(())

    private static let switches = Result {
        try ClientPool(uri: shared.uri, appName: "fail-points", size: 1, timeouts: .background)
    }

    /// Makes the server fail the next commands of that name from clients of that app name, while `body` runs.
    ///
    /// - Parameter data: how, in the fields of `failCommand`: `closeConnection`, `errorCode`, `writeConcernError`, ...
    package static func withFailPoint(
        _ command: String, times: Int, appName: String, _ data: (inout DocumentBuilder) -> Void, during body: () throws -> Void
    ) throws {
        let on = Document { document in
            document.append("configureFailPoint", "failCommand")
            document.document("mode") { $0.append("times", times) }
            document.document("data") { details in
                details.append("failCommands", [command])
                details.append("appName", appName)
                data(&details)
            }
        }
        let off = Document { document in
            document.append("configureFailPoint", "failCommand")
            document.append("mode", "off")
        }
        let pool = try switches.get()
        try turn.withLock { _ in
            try pool.withClient { (client) throws(MongoError) in _ = try client.runCommand(on, in: "admin") }
            let result = Result { try body() }
            try pool.withClient { (client) throws(MongoError) in _ = try client.runCommand(off, in: "admin") }
            try result.get()
        }
    }
}
