import MongoDB
import Testing
import TestSupport

/// The outcomes that SubmitOrder's group commit tells apart.
@Suite(.blocking) struct InsertManyTests {
    @Test func duplicateKeysStandBesideGoodDocuments() throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in
            _ = try things.insertMany([thing(3), thing(5)])
            let result = try things.insertMany((0..<8).map { thing($0) })
            #expect(result.insertedCount == 6)
            #expect(result.writeErrors.map(\.index) == [3, 5])
            #expect(result.writeErrors.allSatisfy { $0.isDuplicateKey && $0.error.code == 11000 && !$0.error.mayHaveRun })
            #expect(result.writeConcernError == nil)
            #expect(try things.count(everything) == 8)
        }
    }

    @Test func everyRefusalKeepsItsOwnIndexAndCode() throws {
        let test = try TestPool()
        try test.withThings { (client, things) throws(MongoError) in
            let rules = Document { command in
                command.append("create", "things")
                command.document("validator") { $0.document("value") { $0.append("$gte", 0) } }
            }
            try client.runCommand(rules, in: test.database)
            let result = try things.insertMany([thing(1, 1), thing(2, -1), thing(1, 1), thing(3, -1), thing(4, 1)])
            let documentValidationFailure = 121
            #expect(result.writeErrors.map(\.index) == [1, 2, 3])
            #expect(result.writeErrors.map(\.error.code) == [documentValidationFailure, 11000, documentValidationFailure])
            #expect(result.insertedCount == 2)
        }
    }

    @Test func aWriteConcernErrorIsKeptApart() throws {
        let test = try TestPool(size: 2)
        try test.withFailing("insert", times: 1, replicationTimeout) {
            try test.withThings { (_, things) throws(MongoError) in
                let result = try things.insertMany([thing(1), thing(2)])
                #expect(result.writeErrors.isEmpty)
                #expect(result.insertedCount == 2)
                #expect(result.writeConcernError?.kind == .writeConcern)
                #expect(result.writeConcernError?.code == 64)
                #expect(result.writeConcernError?.mayHaveRun == true)
            }
        }
    }

    @Test func aWriteConcernErrorBesideADuplicateShowsBoth() throws {
        let test = try TestPool(size: 2)
        try test.withThings { (_, things) throws(MongoError) in try things.insertOne(thing(1)) }
        try test.withFailing("insert", times: 1, replicationTimeout) {
            try test.withThings { (_, things) throws(MongoError) in
                let result = try things.insertMany([thing(1), thing(2)])
                #expect(result.writeErrors.map(\.index) == [0])
                #expect(result.writeConcernError?.code == 64)
            }
        }
    }

    /// Also for writes that are sent as commands of our own.
    @Test func aWriteConcernErrorOfAnUpdateIsThrown() throws {
        let test = try TestPool(size: 2)
        try test.withThings { (_, things) throws(MongoError) in try things.insertOne(thing(1)) }
        try test.withFailing("update", times: 2, replicationTimeout) {
            try test.withThings { (_, things) throws(MongoError) in
                let one = failure { () throws(MongoError) in try things.updateOne(byID(1), increment()) }
                let many = failure { () throws(MongoError) in try things.updateMany(byID(1), increment()) }
                #expect([one?.kind, many?.kind] == [.writeConcern, .writeConcern])
                #expect([one?.mayHaveRun, many?.mayHaveRun] == [true, true])
                #expect(try things.findOne(byID(1)) == thing(1, 2))
            }
        }
    }

    @Test func aBrokenConnectionIsRetriedOnce() throws {
        let test = try TestPool(size: 2, timeouts: .background)
        try test.withFailing("insert", times: 1, { $0.append("closeConnection", true) }) {
            try test.withThings { (_, things) throws(MongoError) in
                let result = try things.insertMany([thing(1), thing(2)])
                #expect(result.insertedCount == 2)
                #expect(result.writeErrors.isEmpty)
            }
        }
    }

    /// libmongoc takes a second to trust the server again, which has to fit into the time to select one.
    @Test func aBrokenConnectionIsRetriedWithinTheTimeoutsOfCalls() throws {
        let recovery = Duration.seconds(1)
        #expect(Timeouts.calls.serverSelection >= recovery + .milliseconds(500))
        let test = try TestPool(size: 2)
        try test.withFailing("insert", times: 1, { $0.append("closeConnection", true) }) {
            try test.withThings { (_, things) throws(MongoError) in try things.insertOne(thing(1)) }
        }
    }

    @Test func aConnectionThatBreaksTwiceLeavesTheOutcomeOpen() throws {
        let test = try TestPool(size: 2, timeouts: .background)
        try test.withFailing("insert", times: 2, { $0.append("closeConnection", true) }) {
            let error = failure { () throws(MongoError) in
                try test.withThings { (_, things) throws(MongoError) in _ = try things.insertMany([thing(1)]) }
            }
            #expect(error?.kind == .network)
            #expect(error?.mayHaveRun == true)
            #expect(error?.labels.contains(.retryableWrite) == true)
        }
    }

    @Test func aTimeLimitReachesTheServer() throws {
        let test = try TestPool(size: 2)
        let slow: (inout DocumentBuilder) -> Void = { data in
            data.append("blockConnection", true)
            data.append("blockTimeMS", 400)
        }
        try test.withFailing("insert", times: 1, slow) {
            let error = failure { () throws(MongoError) in
                try test.withThings { (_, things) throws(MongoError) in
                    _ = try things.insertMany([thing(1)], timeLimit: .milliseconds(50))
                }
            }
            #expect(error?.kind == .timeout)
            #expect(error?.mayHaveRun == true)
        }
    }

    @Test func nothingIsSentForNoDocuments() throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in
            #expect(try things.insertMany([]).insertedCount == 0)
        }
    }

    @Test func aDocumentAboveTheServersLimitIsRefused() throws {
        let test = try TestPool()
        let huge = Document { $0.append("bytes", [UInt8](repeating: 0, count: 17 << 20)) }
        let error = failure { () throws(MongoError) in
            try test.withThings { (_, things) throws(MongoError) in try things.insertOne(huge) }
        }
        #expect(error?.kind == .documentTooLarge)
        #expect(error?.mayHaveRun == false)
    }

    private func replicationTimeout(_ data: inout DocumentBuilder) {
        data.document("writeConcernError") { error in
            error.append("code", Int32(64))
            error.append("errmsg", "waiting for replication timed out")
        }
    }
}
