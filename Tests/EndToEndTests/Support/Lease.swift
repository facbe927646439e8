import MongoDB

/// Who settles, as the database has it.
struct Lease {
    var epoch: Int64
    var holder: String
    /// Given back by its holder: it runs out long ago.
    var isReleased: Bool

    /// Nil where nobody has settled yet.
    init?(_ uri: String) throws {
        let pool = try ClientPool.passing(uri: uri, appName: "checker", size: 1, timeouts: .background)
        let lease = try pool.withClient { client throws(MongoError) in
            try client.collection("leases", in: "orderwire").findOne(Document()) { row throws(MongoError) in
                (
                    epoch: try row.int64("epoch"), holder: row.find("holder")?.string ?? "",
                    isReleased: try row.date("expires").millisecondsSince1970 == 0)
            }
        }
        guard let lease else { return nil }
        (epoch, holder, isReleased) = lease
    }

    /// Lets it last for a minute more, as though its holder had just taken it for so long.
    static func extend(in uri: String) throws {
        let minute: Int64 = 60_000
        let pool = try ClientPool.passing(uri: uri, appName: "checker", size: 1, timeouts: .background)
        let later = BSONDate(millisecondsSince1970: BSONDate.now().millisecondsSince1970 + minute)
        _ = try pool.withClient { client throws(MongoError) in
            try client.collection("leases", in: "orderwire").updateOne(
                Document(), Update { update in update.document("$set") { $0.append("expires", later); $0.append("lasts", minute) } })
        }
    }

    func isHeld(by server: ServerProcess) -> Bool { holder.hasSuffix(" \(server.endpoint)") }
}
