import EmbeddedMongoDB
import Glibc
import MongoDB
import Testing
import TestSupport

@Suite(.blocking) struct ClientPoolTests {
    @Test func aClientGoesBackWhenItsScopeEnds() throws {
        let test = try TestPool(size: 1)
        for _ in 0..<3 {
            try test.withThings { (_, things) throws(MongoError) in _ = try things.count(everything) }
        }
        let client = try test.pool.takeClient()
        try client.runCommand(Document { $0.append("ping", 1) }, in: "admin")
    }

    /// Segments of killed processes stay behind, and whoever has the process id next is told so in the midst of its output.
    @Test func nothingIsSharedByNameWithOtherProcesses() throws {
        _ = try TestPool(size: 1)
        #expect(access("/dev/shm/mongoc-\(getpid())", F_OK) == -1)
    }

    @Test func exhaustionIsATypedErrorInBoundedTime() throws {
        let test = try TestPool(size: 1)
        let held = try test.pool.takeClient()
        let start = ContinuousClock.now
        let error = failure { () throws(MongoError) in _ = try test.pool.takeClient() }
        let waited = ContinuousClock.now - start
        #expect(error?.kind == .poolExhausted)
        #expect(error?.mayHaveRun == false)
        #expect(waited >= .milliseconds(450) && waited < .seconds(3))
        _ = held.timeouts
    }

    @Test func ownErrorsPassThrough() throws {
        struct Mine: Error, Equatable { var kind: MongoError.Kind? }
        let test = try TestPool(size: 1)
        #expect(throws: Mine(kind: nil)) {
            try test.pool.withClient(mapping: { Mine(kind: $0.kind) }) { (_) throws(Mine) in throw Mine() }
        }
        let held = try test.pool.takeClient()
        #expect(throws: Mine(kind: .poolExhausted)) {
            try test.pool.withClient(mapping: { Mine(kind: $0.kind) }) { (_) throws(Mine) in }
        }
        _ = held.timeouts
    }

    @Test(arguments: ["", "localhost:27017", "http://localhost", "mongodb://", "mongodb://a:b:c/?x=y", "mongodb://h/?w=-7"])
    func aURIThatIsNotOneIsRefused(uri: String) {
        let error = failure { () throws(MongoError) in
            _ = try ClientPool(uri: uri, appName: "test", timeouts: .calls)
        }
        #expect(error?.kind == .invalidArgument)
        #expect(error?.message.contains("URI") == true)
    }

    /// As a user gives it, with a database and options of which ours replace some.
    @Test(arguments: [
        "", "shop", "?directConnection=true", "shop?replicaSet=orderwire&socketTimeoutMS=1&w=1&journal=false&readConcernLevel=local",
    ])
    func anExternalURIWorks(rest: String) throws {
        let uri = "mongodb://127.0.0.1:\(TestMongo.shared.port)/\(rest)"
        let pool = try ClientPool(uri: uri, appName: "external", timeouts: .calls)
        let (_, database) = TestMongo.freshDatabase()
        try pool.withClient { (client) throws(MongoError) in
            let things = client.collection("things", in: database)
            try things.insertOne(thing(1))
            #expect(try things.count(everything) == 1)
        }
    }

    @Test func nobodyListeningIsATypedErrorWithinTheTimeouts() throws {
        let pool = try ClientPool(uri: "mongodb://127.0.0.1:\(PortPicker.free())/", appName: "test", timeouts: .calls)
        let start = ContinuousClock.now
        let error = failure { () throws(MongoError) in
            try pool.withClient { (client) throws(MongoError) in
                try client.collection("things", in: "test").insertOne(thing(1))
            }
        }
        #expect(error?.kind == .serverSelection)
        #expect(error?.mayHaveRun == false)
        #expect(ContinuousClock.now - start < .seconds(3))
    }
}

@Suite struct TimeoutsTests {
    @Test func theTimeLimitIsWhatTheCallerHasLeftOrTheProfilesMaximum() throws {
        #expect(try Timeouts.calls.maxTimeMilliseconds(remaining: nil) == 1_200)
        #expect(try Timeouts.calls.maxTimeMilliseconds(remaining: .seconds(9)) == 1_200)
        #expect(try Timeouts.calls.maxTimeMilliseconds(remaining: .milliseconds(20)) == 20)
        #expect(try Timeouts.calls.maxTimeMilliseconds(remaining: .microseconds(1)) == 1)
        #expect(try Timeouts.background.maxTimeMilliseconds(remaining: nil) == 290_000)
    }

    /// To MongoDB, 0 would mean "no limit".
    @Test(arguments: [.zero, .seconds(-1)] as [Duration])
    func nothingIsBegunWithoutTime(remaining: Duration) {
        let error = failure { () throws(MongoError) in _ = try Timeouts.calls.maxTimeMilliseconds(remaining: remaining) }
        #expect(error?.kind == .timeout)
        #expect(error?.mayHaveRun == false)
    }
}

/// What callers meet while the database is stopped, gone, and back. Each has a mongod of its own.
@Suite(.blocking) struct DatabaseAwayTests {
    @Test func aStoppedMongodIsATypedErrorWithinTheTimeouts() throws {
        let mongod = try EmbeddedMongod.start()
        defer { mongod.discard() }
        let pool = try ClientPool(uri: mongod.uri, appName: "test", timeouts: .calls)
        try pool.withClient { (client) throws(MongoError) in
            let things = client.collection("things", in: "test")
            try things.insertOne(thing(1))
            #expect(throws: Never.self) { try stopAllThreads(of: mongod.pid) }
            // Twice the socket's timeout, as libmongoc tries both once more.
            let start = ContinuousClock.now
            let write = failure { () throws(MongoError) in try things.insertOne(thing(2)) }
            #expect(write?.kind == .network)
            #expect(write?.mayHaveRun == true)
            #expect(ContinuousClock.now - start < .seconds(3))
            let again = ContinuousClock.now
            let read = failure { () throws(MongoError) in _ = try things.count(everything) }
            #expect(read?.kind == .network || read?.kind == .serverSelection)
            #expect(ContinuousClock.now - again < .seconds(3))
            // By now the monitors know, and nobody waits for a socket any more.
            let later = ContinuousClock.now
            let unseen = failure { () throws(MongoError) in try things.insertOne(thing(3)) }
            #expect(unseen?.kind == .serverSelection)
            #expect(ContinuousClock.now - later < .seconds(2))
            mongod.signal(SIGCONT)
        }
        let back = ContinuousClock.now
        let count = try eventually(until: back + .seconds(10)) { () throws(MongoError) in
            try pool.withClient { (client) throws(MongoError) in
                try client.collection("things", in: "test").count(everything)
            }
        }
        // The write that timed out may have been done after all.
        #expect(count == 1 || count == 2)
        #expect(ContinuousClock.now - back < .seconds(5))
    }

    @Test func aKilledMongodIsATypedErrorAndItsSuccessorIsFound() throws {
        let mongod = try EmbeddedMongod.start()
        let pool = try ClientPool(uri: mongod.uri, appName: "test", timeouts: .calls)
        try pool.withClient { (client) throws(MongoError) in
            try client.collection("things", in: "test").insertOne(thing(1))
        }
        mongod.kill()
        let start = ContinuousClock.now
        let error = failure { () throws(MongoError) in
            try pool.withClient { (client) throws(MongoError) in
                try client.collection("things", in: "test").insertOne(thing(2))
            }
        }
        #expect(error?.kind == .network || error?.kind == .serverSelection)
        #expect(ContinuousClock.now - start < .seconds(3))

        let successor = try EmbeddedMongod.start(dataDirectory: mongod.dataDirectory)
        #expect(successor.port == mongod.port)
        let count = try eventually(until: ContinuousClock.now + .seconds(10)) { () throws(MongoError) in
            try pool.withClient { (client) throws(MongoError) in
                try client.collection("things", in: "test").count(everything)
            }
        }
        #expect(count == 1)
        successor.kill()
        mongod.discard()
    }
}
