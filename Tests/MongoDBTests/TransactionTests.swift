import Glibc
import MongoDB
import Synchronization
import Testing
import TestSupport

@Suite(.blocking) struct TransactionTests {
    @Test func commitsAllOrNothing() throws {
        let test = try TestPool()
        try test.withThings { (client, things) throws(MongoError) in
            let session = try client.startSession()
            let inside = session.collection("things", in: test.database)
            try session.startTransaction()
            let isOpen = session.isInTransaction
            #expect(isOpen)
            try inside.insertOne(thing(1))
            _ = try inside.insertMany([thing(2), thing(3)])
            #expect(try things.count(everything) == 0)
            #expect(try inside.count(everything) == 3)
            try session.commitTransaction()
            #expect(try things.count(everything) == 3)

            try session.startTransaction()
            #expect(try inside.deleteMany(everything).deletedCount == 3)
            session.abortTransaction()
            #expect(try things.count(everything) == 3)
        }
    }

    @Test func everyKindOfOperationWorksInside() throws {
        let test = try TestPool()
        try test.withThings { (client, things) throws(MongoError) in
            _ = try things.insertMany((0..<4).map { thing($0) })
            let session = try client.startSession()
            let inside = session.collection("things", in: test.database)
            try session.startTransaction()
            #expect(try inside.updateOne(byID(0), increment(), hint: "_id_", timeLimit: .seconds(1)).modifiedCount == 1)
            #expect(try inside.updateOne(byID(9), increment(), upsert: true).upsertedCount == 1)
            #expect(try inside.updateMany(everything, increment(), hint: "_id_").matchedCount == 5)
            #expect(try inside.replaceOne(byID(1), thing(1, 100)).matchedCount == 1)
            #expect(try inside.deleteOne(byID(2)).deletedCount == 1)
            let updated = try inside.findOneAndUpdate(byID(3), increment(), timeLimit: .seconds(1))
            #expect(try updated?.view.int64("value") == 2)
            var bulk = try inside.bulkWrite()
            try bulk.updateOne(byID(3), increment(), hint: "_id_")
            #expect(try bulk.execute().modifiedCount == 1)
            let seen = try inside.findOne(byID(3))
            #expect(try seen?.view.int64("value") == 3)
            session.abortTransaction()
            #expect(try things.count(Document { $0.append("value", 0) }) == 4)
        }
    }

    /// A commit that the primary alone has acknowledged: who reads not before its time waits until a majority has it.
    @Test func aReaderWaitsUntilAMajorityHasIt() throws {
        let test = try TestPool()
        try test.withThings { (client, things) throws(MongoError) in
            try things.insertOne(thing(0))
            let session = try client.startSession()
            let inside = session.collection("things", in: test.database)
            #expect(session.operationTime == nil)
            var last = ClusterTime(0)
            for round in Int32(1)...5 {
                try session.startTransaction(commitConcern: .primary)
                _ = try inside.updateOne(byID(0), increment())
                try session.commitTransaction()
                let time = session.operationTime
                #expect(time.map { $0 > last } == true)
                last = time ?? last
                #expect(try value(in: things, notBefore: time) == Int64(round))
            }
        }
    }

    /// A busy disk may take longer than a read waits.
    private func value(in things: borrowing Collection, notBefore time: ClusterTime?) throws(MongoError) -> Int64? {
        for _ in 0..<20 {
            do throws(MongoError) {
                return try things.findOne(byID(0), FindOptions(readConcern: .majority, notBefore: time)) { row throws(MongoError) in
                    try row.int64("value")
                }
            } catch {
                if error.kind != .timeout { throw error }
            }
        }
        return nil
    }

    @Test func aConflictFailsAtOnceWithItsLabel() throws {
        let test = try TestPool()
        try test.withThings { (client, things) throws(MongoError) in
            try things.insertOne(thing(1))
            let winner = try client.startSession()
            let loser = try client.startSession()
            try winner.startTransaction()
            try winner.collection("things", in: test.database).updateOne(byID(1), increment())
            try loser.startTransaction()
            let error = failure { () throws(MongoError) in
                try loser.collection("things", in: test.database).updateOne(byID(1), increment())
            }
            #expect(error?.kind == .writeConflict)
            #expect(error?.labels.contains(.transientTransaction) == true)
            loser.abortTransaction()

            try loser.startTransaction()
            let many = failure { () throws(MongoError) in
                var bulk = try loser.collection("things", in: test.database).bulkWrite()
                try bulk.updateMany(everything, increment())
                try bulk.execute().checked()
            }
            #expect(many?.labels.contains(.transientTransaction) == true)
            loser.abortTransaction()
            try winner.commitTransaction()
        }
    }

    @Test func abortOfAnAbortedTransactionIsSilent() throws {
        let messages = Mutex<[String]>([])
        MongoLibrary.setLogHandler { _, message in messages.withLock { $0.append(message) } }
        defer { MongoLibrary.setLogHandler(nil) }
        let test = try TestPool()
        try test.withThings { (client, things) throws(MongoError) in
            try things.insertOne(thing(1))
            let session = try client.startSession()
            try session.startTransaction()
            let inside = session.collection("things", in: test.database)
            try inside.updateOne(byID(1), increment())
            let duplicate = failure { () throws(MongoError) in try inside.insertOne(thing(1)) }
            #expect(duplicate?.kind == .duplicateKey)
            session.abortTransaction()
            session.abortTransaction()
            let isOpen = session.isInTransaction
            #expect(!isOpen)
            #expect(try things.findOne(byID(1)) == thing(1))
        }
        #expect(messages.withLock { $0 }.filter { $0.contains("abort") } == [])
    }

    @Test func anUnknownCommitIsLabelledAndCanBeRepeated() throws {
        let test = try TestPool(size: 2, timeouts: .background)
        // libmongoc repeats a commit once by itself.
        try test.withFailing("commitTransaction", times: 2, { $0.append("closeConnection", true) }) {
            try test.withThings { (client, things) throws(MongoError) in
                let session = try client.startSession()
                try session.startTransaction()
                try session.collection("things", in: test.database).insertOne(thing(1))
                let error = failure { () throws(MongoError) in try session.commitTransaction() }
                #expect(error?.labels.contains(.unknownCommitResult) == true)
                #expect(error?.mayHaveRun == true)
                try session.commitTransaction()
                #expect(try things.count(everything) == 1)
            }
        }
    }

    @Test func aSessionsIdIsSixteenBytesAndItsOwn() throws {
        let test = try TestPool()
        try test.withThings { (client, _) throws(MongoError) in
            let first = try client.startSession()
            let second = try client.startSession()
            let (firstID, secondID) = (first.id, second.id)
            #expect(firstID != secondID)
            #expect(firstID.bytes.count == SessionID.byteCount)
            #expect(SessionID(firstID.bytes) == firstID)
            #expect(SessionID([1, 2, 3]) == nil)
        }
    }

    /// A settler is killed in the middle of its transaction; the next one frees what it held.
    @Test func killSessionsFreesTheDocumentsOfAKilledClient() async throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in _ = try things.insertMany([thing(1), thing(2)]) }
        // So that it is surely not the server's own limit that frees them.
        try setTransactionLifetimeLimit(seconds: 30, test)
        defer { #expect(throws: Never.self) { try setTransactionLifetimeLimit(seconds: 5, test) } }
        let uri: String = TestMongo.shared.uri
        let database: String = test.database
        await #expect(processExitsWith: .signal(SIGKILL)) { [uri = uri as String, database = database as String] in
            let pool = try ClientPool.passing(uri: uri, appName: "victim", timeouts: .calls)
            try pool.withClient { (client) throws(MongoError) in
                let session = try client.startSession()
                let lease = client.collection("leases", in: database)
                try lease.insertOne(Document { $0.append("session", session.id) })
                try session.startTransaction()
                try session.collection("things", in: database).updateOne(byID(1), increment())
                kill(getpid(), SIGKILL)
            }
        }
        try test.withThings { (client, things) throws(MongoError) in
            let blocked = failure { () throws(MongoError) in
                try things.updateMany(byID(1), increment(), timeLimit: .milliseconds(100))
            }
            #expect(blocked?.kind == .timeout)

            let bytes = try client.collection("leases", in: test.database).findOne(everything) {
                (lease) throws(MongoError) in try lease.binary("session")
            }
            guard let session = bytes.flatMap(SessionID.init) else {
                Issue.record("the victim left no session id")
                return
            }
            let start = ContinuousClock.now
            try client.killSessions([session])
            #expect(try things.updateOne(byID(1), increment()).modifiedCount == 1)
            // Without it the write would wait for the transaction's lifetime.
            #expect(ContinuousClock.now - start < .seconds(5))
            #expect(try things.findOne(byID(1)) == thing(1, 1))
        }
    }

    private func setTransactionLifetimeLimit(seconds: Int, _ test: TestPool) throws {
        let command = Document { command in
            command.append("setParameter", 1)
            command.append("transactionLifetimeLimitSeconds", seconds)
        }
        try test.withThings { (client, _) throws(MongoError) in _ = try client.runCommand(command, in: "admin") }
    }
}
