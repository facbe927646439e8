import MongoDB

/// What the profiler says about one query.
struct QueryCost {
    var keys: Int64
    var documents: Int64
    /// The whole plan, as text.
    var plan: String
}

extension [QueryCost] {
    var keys: Int64 { reduce(0) { $0 + $1.keys } }
    var documents: Int64 { reduce(0) { $0 + $1.documents } }
    /// Whether nothing was scanned or sorted in memory.
    var areServedByIndex: Bool {
        !contains { cost in ["COLLSCAN", "\"SORT\"", "SORT_KEY_GENERATOR"].contains { cost.plan.contains($0) } }
    }
}

extension RunningShop {
    /// Runs `query`, and returns what came of it beside what the profiler says about each query of `collection` that it made.
    ///
    /// - Parameter index: looks at queries that name this index only, where others use the collection as well.
    func costs<Response>(
        in collection: String, by index: String? = nil, _ query: () async throws -> Response
    ) async throws -> (Response, [QueryCost]) {
        try profile(level: 2)
        let response = try await query()
        try profile(level: 0)
        let costs = try inDatabase { client throws(MongoError) in
            let profiles = client.collection("system.profile", in: database)
            var costs: [QueryCost] = []
            var cursor = try profiles.find(Document { filter in
                filter.append("ns", "\(database).\(collection)")
                filter.document("op") { $0.append("$in", ["query", "command"]) }
                if let index { filter.append("command.hint", index) }
            })
            while let row = try cursor.next() {
                // Of a command that only counts, a summary is all that is said.
                let plan = if let plan = row.find("execStats")?.document { Document(copying: plan).description } else { try row.string("planSummary") }
                costs.append(QueryCost(keys: try row.int64("keysExamined"), documents: try row.int64("docsExamined"), plan: plan))
            }
            return costs
        }
        _ = try inDatabase { client throws(MongoError) in
            try client.runCommand(Document { $0.append("drop", "system.profile") }, in: database)
        }
        return (response, costs)
    }

    private func profile(level: Int) throws {
        _ = try inDatabase { client throws(MongoError) in
            try client.runCommand(Document { $0.append("profile", level) }, in: database)
        }
    }
}
