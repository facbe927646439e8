internal import CMongoC

/// A collection as seen by one client: every operation on documents. It lives no longer than the client, or the session,
/// that made it; made by a session, every operation is part of that session.
package struct Collection: ~Copyable, ~Escapable {
    let handle: OpaquePointer
    let session: OpaquePointer?
    let timeouts: Timeouts

    @_lifetime(immortal)
    init(client: OpaquePointer, database: String, name: String, session: OpaquePointer?, timeouts: Timeouts) {
        guard let handle = mongoc_client_get_collection(client, database, name) else {
            preconditionFailure("libbson aborts when memory runs out")
        }
        self.handle = handle
        self.session = session
        self.timeouts = timeouts
    }

    deinit {
        mongoc_collection_destroy(handle)
    }

    package var name: String {
        String(cString: mongoc_collection_get_name(handle))
    }

    func options(_ timeLimit: Duration?) throws(MongoError) -> CommandOptions {
        try CommandOptions(timeouts, timeLimit: timeLimit, session: session)
    }
}
