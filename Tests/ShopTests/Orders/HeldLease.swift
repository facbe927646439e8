import MongoDB
import RPC
import Synchronization
import TestSupport

@testable import Shop

/// A settler's lease in the hands of a test, renewed until it lets go: nothing is decided meanwhile.
final class HeldLease: Sendable {
    private let database: String
    private let pool: ClientPool
    private let keeper = LoopThread()

    /// Takes the lease, from whoever has it.
    init(on uri: String = TestMongo.shared.uri, database: String) throws {
        self.database = database
        pool = try ClientPool.passing(uri: uri, appName: "lease", size: 1, timeouts: .background)
        try pool.withClient { client throws(MongoError) in
            try LeaseStore(database: database).create(client, before: .after(.seconds(60)))
            try Self.update(database, client) { update in
                update.document("$set") { $0.append("holder", "a test"); $0.append("expires", Self.inAnHour) }
                update.document("$inc") { $0.append("epoch", 1) }
            }
        }
        keeper.start(named: "lease keeper") { [pool, keeper] in
            while !keeper.isStopping {
                do throws(MongoError) {
                    try pool.withClient { client throws(MongoError) in
                        try Self.update(database, client) { update in update.document("$set") { $0.append("expires", Self.inAnHour) } }
                    }
                } catch {
                    // The next one may succeed, and a lease lasts longer than it takes.
                }
                keeper.sleep(atMost: Limits.leaseRenewal)
            }
        }
    }

    deinit { keeper.stop() }

    /// Gives it back.
    func release() throws {
        keeper.stop()
        try pool.withClient { client throws(MongoError) in
            try Self.update(database, client) { update in
                update.document("$set") { $0.append("expires", BSONDate(millisecondsSince1970: 0)) }
            }
        }
    }

    private static var inAnHour: BSONDate { BSONDate(millisecondsSince1970: BSONDate.now().millisecondsSince1970 + 3_600_000) }

    private static func update(
        _ database: String, _ client: borrowing Client, _ build: (inout DocumentBuilder) -> Void
    ) throws(MongoError) {
        try client.collection(CollectionName.leases, in: database)
            .updateOne(Document { $0.append("_id", "settler") }, Update(build))
    }
}
