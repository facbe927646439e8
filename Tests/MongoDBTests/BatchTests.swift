import MongoDB
import Testing
import TestSupport

/// Queries whose rows come in one reply.
@Suite(.blocking) struct BatchTests {
    /// The ids of the rows, in their order.
    private func ids(_ batch: Batch) throws(MongoError) -> [Int64] {
        var ids: [Int64] = []
        for index in 0..<batch.count { ids.append(try batch[index].int64("_id")) }
        return ids
    }

    @Test func findsSortedLimitedSkippedAndProjected() throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in
            _ = try things.insertMany((0..<300).map { thing($0, $0 % 3) })
            let options = FindOptions(
                sort: Document { $0.append("_id", -1) }, projection: Document { $0.append("_id", 1) }, skip: 10, limit: 250,
                hint: "_id_", readConcern: .majority)
            let batch = try things.findBatch(Document { filter in filter.document("_id") { $0.append("$lt", 290) } }, options)
            #expect(try ids(batch) == (30..<280).reversed().map(Int64.init))
            let hasValue = batch[0].contains("value")
            #expect(!hasValue)
        }
    }

    private func quietTime(_ test: TestPool) throws -> ClusterTime? {
        try test.withThings { (_, things) throws(MongoError) in
            try things.findBatch(everything, FindOptions(limit: 1, readConcern: .majority)).quietTime
        }
    }

    @Test func theQuietTimeStandsStillUntilSomethingIsWritten() throws {
        let test = try TestPool()
        // Others write to the same server now and then.
        var before: ClusterTime?
        for _ in 0..<1000 where before == nil {
            let first = try quietTime(test)
            let second = try quietTime(test)
            if first == second { before = first }
        }
        #expect(before != nil)
        for number in 0..<10 {
            try test.withThings { (_, things) throws(MongoError) in _ = try things.insertMany([thing(number)]) }
            let after = try quietTime(test)
            #expect(after == nil || after != before)
        }
    }

    @Test(arguments: [1, 10, 101, 300, 301, 1000]) func noCursorIsLeftOnTheServer(_ limit: Int) throws {
        let test = try TestPool()
        try test.withThings { (client, things) throws(MongoError) in
            _ = try things.insertMany((0..<300).map { thing($0) })
            let batch = try things.findBatch(everything, FindOptions(sort: byID(1), limit: limit))
            #expect(try ids(batch) == (0..<Int64(min(limit, 300))).map { $0 })
            let cursors = try client.runCommand(
                Document { command in
                    command.append("aggregate", 1)
                    command.append(
                        "pipeline",
                        [
                            Document { stage in stage.document("$currentOp") { $0.append("idleCursors", true) } },
                            Document { stage in
                                stage.document("$match") { match in
                                    match.append("type", "idleCursor")
                                    match.append("ns", "\(test.database).things")
                                }
                            },
                        ])
                    command.document("cursor") { _ in }
                }, in: "admin")
            var open = try cursors.view.document("cursor").array("firstBatch").elements()
            let isOpen = open.next() != nil
            #expect(!isOpen)
        }
    }

    @Test func rowsStayWhenTheClientHasGone() throws {
        let test = try TestPool()
        var batch = try test.withThings { (_, things) throws(MongoError) in
            _ = try things.insertMany((0..<10).map { thing($0) })
            return try things.findBatch(everything, FindOptions(sort: byID(1), limit: 7))
        }
        try test.withThings { (_, things) throws(MongoError) in _ = try things.findBatch(everything, FindOptions(limit: 10)) }
        #expect(try ids(batch) == [0, 1, 2, 3, 4, 5, 6])
        batch.truncate(to: 5)
        batch.truncate(to: 9)
        #expect(try ids(batch) == [0, 1, 2, 3, 4])
        batch.reverse()
        #expect(try ids(batch) == [4, 3, 2, 1, 0])
    }

    @Test func whatDoesNotFitIntoOneReplyIsAnError() throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in
            let text = String(repeating: "x", count: 1 << 20)
            for id in 0..<18 {
                try things.insertOne(Document { document in
                    document.append("_id", id)
                    document.append("text", text)
                })
            }
            let error = failure { () throws(MongoError) in _ = try things.findBatch(everything, FindOptions(limit: 18)) }
            #expect(error?.kind == .documentTooLarge)
            #expect(try things.findBatch(everything, FindOptions(limit: 10)).count == 10)
        }
    }

    @Test func aTransactionReadsWhatItWrote() throws {
        let test = try TestPool()
        try test.withThings { (client, things) throws(MongoError) in
            try things.insertOne(thing(1))
            let session = try client.startSession()
            try session.startTransaction()
            let inside = session.collection("things", in: test.database)
            try inside.insertOne(thing(2))
            #expect(try ids(inside.findBatch(everything, FindOptions(sort: byID(1), limit: 5))) == [1, 2])
            #expect(try ids(things.findBatch(everything, FindOptions(sort: byID(1), limit: 5))) == [1])
            session.abortTransaction()
        }
    }

    @Test func aBrokenConnectionIsTriedAgainAndARefusalIsNot() throws {
        let test = try TestPool(size: 1)
        try test.withThings { (_, things) throws(MongoError) in try things.insertOne(thing(1)) }
        try test.withFailing("find", times: 1, { $0.append("closeConnection", true) }) {
            try test.withThings { (_, things) throws(MongoError) in
                #expect(try things.findBatch(everything, FindOptions(limit: 1)).count == 1)
            }
        }
        try test.withFailing("find", times: 1, { $0.append("errorCode", 50) }) {
            try test.withThings { (_, things) throws(MongoError) in
                let error = failure { () throws(MongoError) in _ = try things.findBatch(everything, FindOptions(limit: 1)) }
                #expect(error?.kind == .timeout)
                #expect(error?.code == 50)
            }
        }
    }
}
