internal import CMongoC

/// Writes that are sent as commands: within a transaction, where nothing is retried, and for many documents, which are
/// never retried. So they can carry a time limit, which libmongoc's helpers put into the wrong place.
extension Collection {
    var isInTransaction: Bool {
        session.map(mongoc_client_session_in_transaction) ?? false
    }

    func runUpdate(
        _ filter: Document, _ update: Update, multi: Bool, upsert: Bool, hint: String?, timeLimit: Duration?
    ) throws(MongoError) -> WriteResult {
        try run(
            Document { command in
                command.append("update", name)
                command.array("updates") { statements in
                    statements.document { statement in
                        statement.append("q", filter)
                        update.append(to: &statement, as: "u")
                        statement.append("multi", multi)
                        if upsert { statement.append("upsert", true) }
                        if let hint { statement.append("hint", hint) }
                    }
                }
            }, timeLimit)
    }

    /// - Parameter limit: 1, or 0 for all.
    func runDelete(_ filter: Document, limit: Int, timeLimit: Duration?) throws(MongoError) -> WriteResult {
        try run(
            Document { command in
                command.append("delete", name)
                command.array("deletes") { statements in
                    statements.document { statement in
                        statement.append("q", filter)
                        statement.append("limit", limit)
                    }
                }
            }, timeLimit)
    }

    private func run(_ command: Document, _ timeLimit: Duration?) throws(MongoError) -> WriteResult {
        let options = try options(timeLimit)
        return try command.withUnsafeBSON { (command) throws(MongoError) in
            try withReply { reply, error in
                mongoc_collection_write_command_with_opts(handle, command, options.bson, reply, error)
            } read: { (succeeded, reply, error) throws(MongoError) in
                try WriteResult(commandSucceeded: succeeded, reply: reply, error: error).checked()
            }
        }
    }
}
