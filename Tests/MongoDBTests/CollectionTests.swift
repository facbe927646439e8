import MongoDB
import Testing
import TestSupport

/// Reads and writes against a real mongod.
@Suite(.blocking) struct CollectionTests {
    @Test func findsSortedLimitedSkippedAndProjected() throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in
            let inserted = try things.insertMany((0..<300).map { thing($0, $0 % 3) })
            #expect(inserted.insertedCount == 300)
            let options = FindOptions(
                sort: Document { $0.append("_id", -1) }, projection: Document { $0.append("_id", 1) }, skip: 10, limit: 250,
                hint: "_id_", readConcern: .majority)
            var cursor = try things.find(everything, options)
            var ids: [Int64] = []
            while let row = try cursor.next() {
                let hasValue = row.contains("value")
                #expect(!hasValue)
                ids.append(try row.int64("_id"))
            }
            #expect(ids == (40..<290).reversed().map(Int64.init))
        }
    }

    @Test func findOneCopiesOrReads() throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in
            try things.insertOne(thing(1, 5))
            let copy = try things.findOne(byID(1))
            #expect(try copy?.view.int64("value") == 5)
            #expect(try things.findOne(byID(1)) { (row) throws(MongoError) in try row.int64("value") } == 5)
            #expect(try things.findOne(byID(2)) == nil)
        }
    }

    @Test func countsOnTheServer() throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in
            #expect(try things.count(everything) == 0)
            _ = try things.insertMany((0..<20).map { thing($0, $0 % 2) })
            #expect(try things.count(Document { $0.append("value", 1) }) == 10)
            #expect(try things.count(everything, skip: 15, hint: "_id_", readConcern: .majority) == 5)
            #expect(try things.count(everything, limit: 7) == 7)
        }
    }

    @Test func aggregates() throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in
            _ = try things.insertMany((1...4).map { thing($0, $0) })
            let sum = Document { stage in
                stage.document("$group") { group in
                    group.appendNull("_id")
                    group.document("sum") { $0.append("$sum", "$value") }
                }
            }
            var cursor = try things.aggregate([sum])
            let sumOfAll = try cursor.next()?.int64("sum")
            #expect(sumOfAll == 10)
        }
    }

    @Test func updatesReportMatchedAndModified() throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in
            _ = try things.insertMany((0..<5).map { thing($0) })
            let same = Update { $0.document("$set") { $0.append("value", 0) } }
            let one = try things.updateOne(byID(1), increment())
            #expect((one.matchedCount, one.modifiedCount) == (1, 1))
            let all = try things.updateMany(everything, same)
            #expect((all.matchedCount, all.modifiedCount) == (5, 1))
            let none = try things.updateOne(byID(77), increment())
            #expect((none.matchedCount, none.modifiedCount, none.upsertedCount) == (0, 0, 0))
            let upserted = try things.updateOne(byID(77), increment(), upsert: true)
            #expect((upserted.matchedCount, upserted.upsertedCount) == (0, 1))
            #expect(try things.replaceOne(byID(77), thing(77, 9)).modifiedCount == 1)
            #expect(try things.deleteOne(byID(77)).deletedCount == 1)
            #expect(try things.deleteMany(everything).deletedCount == 5)
        }
    }

    /// A hint that the server does not know is refused: the proof that it got there.
    @Test func updateManyAndAllOthersSendTheirHint() throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in
            _ = try things.insertMany((0..<5).map { thing($0) })
            let ids = Document { $0.document("_id") { $0.append("$in", [1, 2, 3] as [Int64]) } }
            let hinted = try things.updateMany(ids, increment(), hint: "_id_")
            #expect((hinted.matchedCount, hinted.modifiedCount) == (3, 3))

            let badValue = 2
            let errors = [
                failure { () throws(MongoError) in try things.updateMany(ids, increment(), hint: "no_such") },
                failure { () throws(MongoError) in try things.updateOne(ids, increment(), hint: "no_such") },
                failure { () throws(MongoError) in _ = try things.findOneAndUpdate(ids, increment(), hint: "no_such") },
                failure { () throws(MongoError) in _ = try things.findOne(ids, FindOptions(hint: "no_such")) },
                failure { () throws(MongoError) in _ = try things.count(ids, hint: "no_such") },
                failure { () throws(MongoError) in
                    var bulk = try things.bulkWrite()
                    try bulk.updateMany(ids, increment(), hint: "no_such")
                    try bulk.execute().checked()
                },
            ]
            #expect(errors.map { $0?.code } == Array(repeating: badValue, count: errors.count))
        }
    }

    @Test func aPipelineUpdateUsesTheDatabasesClock() throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in
            let extend = Update(pipeline: [
                Document { stage in
                    stage.document("$set") { set in
                        set.append("owner", "me")
                        set.document("expires") { expires in
                            expires.array("$add") { sum in
                                sum.append("$$NOW")
                                sum.append(5_000)
                            }
                        }
                    }
                }
            ])
            let lease = Document { $0.append("_id", "lease") }
            let before = BSONDate.now().millisecondsSince1970
            let taken = try things.findOneAndUpdate(lease, extend, upsert: true)
            let expires = try taken?.view.date("expires").millisecondsSince1970 ?? 0
            // Both clocks are this machine's.
            #expect(expires >= before + 5_000 && expires <= BSONDate.now().millisecondsSince1970 + 5_000)
            #expect(try taken?.view.string("owner") == "me")
            #expect(try things.updateOne(lease, extend).matchedCount == 1)
        }
    }

    @Test func findOneAndUpdateReturnsEitherState() throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in
            _ = try things.insertMany([thing(1, 10), thing(2, 20)])
            let highest = Document { $0.append("value", -1) }
            let before = try things.findOneAndUpdate(everything, increment(), returning: .before, sort: highest)
            #expect(try before?.view.int64("value") == 20)
            let after = try things.findOneAndUpdate(byID(2), increment(), projection: Document { $0.append("value", 1) })
            #expect(try after?.view.int64("value") == 22)
            #expect(try things.findOneAndUpdate(byID(3), increment()) == nil)
        }
    }

    @Test func aBulkWriteReportsRefusalsByIndex() throws {
        let test = try TestPool()
        try test.withThings { (_, things) throws(MongoError) in
            try things.insertOne(thing(1))
            var bulk = try things.bulkWrite()
            try bulk.updateOne(byID(1), increment())
            try bulk.insert(thing(1))
            try bulk.updateOne(byID(2), increment(), upsert: true)
            try bulk.replaceOne(byID(3), thing(3, 3), upsert: true)
            try bulk.insert(thing(4))
            try bulk.deleteOne(byID(4))
            try bulk.updateMany(everything, increment(), hint: "_id_")
            let result = try bulk.execute()
            #expect(result.writeErrors.map(\.index) == [1])
            #expect(result.writeErrors.first?.isDuplicateKey == true)
            #expect(result.insertedCount == 1)
            #expect(result.upsertedCount == 2)
            #expect(result.deletedCount == 1)
            #expect(result.writeConcernError == nil)
            #expect(try things.bulkWrite().execute().insertedCount == 0)
        }
    }

    @Test func createsIndexesOnce() throws {
        let test = try TestPool(size: 1, timeouts: .background)
        try test.withThings { (client, things) throws(MongoError) in
            let byValue = Index("by_value", keys: Document { $0.append("value", 1) }, unique: true)
            let partial = Index(
                "some", keys: Document { $0.append("at", 1) }, partialFilter: Document { $0.append("state", 1) },
                expireAfter: .seconds(3_600))
            for _ in 0..<2 { try things.createIndexes([byValue, partial]) }
            try things.insertOne(thing(1, 7))
            #expect(failure { () throws(MongoError) in try things.insertOne(thing(2, 7)) }?.kind == .duplicateKey)
            let other = Index("by_value", keys: Document { $0.append("value", -1) })
            #expect(failure { () throws(MongoError) in try things.createIndexes([other]) }?.kind == .server)
            try client.dropDatabase(test.database)
        }
    }

    @Test func createsACollectionWithSmallPagesOnce() throws {
        let test = try TestPool(size: 1, timeouts: .background)
        try test.withThings { (client, things) throws(MongoError) in
            // The second leaves what is there as it is.
            for size in [1 << 16, 1 << 17] { try things.create(maxPageBytes: size) }
            try things.createIndexes([
                Index("by_value", keys: Document { $0.append("value", 1) }),
                Index("by_state", keys: Document { $0.append("state", 1) }, maxPageBytes: 1 << 15),
            ])
            let command = Document { command in
                command.append("collStats", things.name)
                command.append("indexDetails", true)
            }
            let stats = try client.runCommand(command, in: test.database)
            let indexes = try stats.view.document("indexDetails")
            let trees = [
                try stats.view.document("wiredTiger").string("creationString"), try indexes.document("_id_").string("creationString"),
                try indexes.document("by_value").string("creationString"),
            ]
            for tree in trees { #expect(tree.contains("memory_page_max=65536")) }
            #expect(try indexes.document("by_state").string("creationString").contains("memory_page_max=32768"))
            try client.dropDatabase(test.database)
        }
    }

    @Test func aRefusedCommandIsAnError() throws {
        let test = try TestPool()
        let error = failure { () throws(MongoError) in
            try test.withThings { (client, _) throws(MongoError) in
                _ = try client.runCommand(Document { $0.append("noSuchCommand", 1) }, in: "admin")
            }
        }
        #expect(error?.code == 59)
        #expect(error?.kind == .server)
    }
}
