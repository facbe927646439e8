import MongoDB
import RPC

/// The mark in the database that a bulk load is under way: there from before the first index is dropped until all have been built.
///
/// Servers that carry out calls of large imports extend it, so it expires when none does any more. All times are the database's.
struct BulkLoadStore: Sendable {
    let database: String

    struct Mark: Sendable {
        /// Names this state of the mark: whoever extends it replaces it.
        var expires: BSONDate
        /// How long ago it expired; negative where it has not yet.
        var overdue: Duration

        init(expires: BSONDate = BSONDate(millisecondsSince1970: 0), overdue: Duration) {
            self.expires = expires
            self.overdue = overdue
        }
    }

    /// Nil where no load is under way.
    func mark(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Mark? {
        let projection = Document { projection in
            projection.append("expires", 1)
            projection.document("overdue") { difference in
                difference.array("$subtract") {
                    $0.append("$$NOW")
                    $0.append("$expires")
                }
            }
        }
        return try client.collection(CollectionName.leases, in: database)
            .findOne(Self.filter, FindOptions(projection: projection, hint: "_id_", timeLimit: deadline.remaining)) { row throws(MongoError) in
                Mark(expires: try row.date("expires"), overdue: .milliseconds(try row.int64("overdue")))
            }
    }

    /// Lets the mark last from now on for as long as a load may be silent.
    ///
    /// - Parameter orMake: also where there is none.
    func extend(orMake: Bool, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) {
        let update = Update(pipeline: [
            Document { stage in
                stage.document("$set") { set in
                    set.document("expires") { sum in
                        sum.array("$add") {
                            $0.append("$$NOW")
                            $0.append(Int64(Limits.bulkLoadSilence.wholeMicroseconds / 1000))
                        }
                    }
                }
            }
        ])
        try client.collection(CollectionName.leases, in: database)
            .updateOne(Self.filter, update, upsert: orMake, timeLimit: deadline.remaining)
    }

    /// Removes the mark that was seen, unless somebody has extended it since: then indexes may have been dropped again.
    func remove(_ mark: Mark, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) {
        let filter = Document { filter in
            filter.append("_id", Self.id)
            filter.append("expires", mark.expires)
        }
        try client.collection(CollectionName.leases, in: database).deleteOne(filter, timeLimit: deadline.remaining)
    }

    private static let id = "bulk_load"
    private static let filter = Document { $0.append("_id", id) }
}
