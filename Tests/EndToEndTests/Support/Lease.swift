import MongoDB

/// Who settles, as the database has it.
struct Lease {
    var epoch: Int64
    var holder: String

    /// Nil where nobody has settled yet.
    init?(_ uri: String) throws {
        let pool = try ClientPool(uri: uri, appName: "checker", size: 1, timeouts: .background)
        let lease = try pool.withClient { client throws(MongoError) in
            try client.collection("leases", in: "orderwire").findOne(Document()) { row throws(MongoError) in
                (epoch: try row.int64("epoch"), holder: row.find("holder")?.string ?? "")
            }
        }
        guard let lease else { return nil }
        (epoch, holder) = lease
    }

    func isHeld(by server: ServerProcess) -> Bool { holder.hasSuffix(" \(server.endpoint)") }
}
