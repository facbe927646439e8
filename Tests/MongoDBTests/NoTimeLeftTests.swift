import MongoDB
import TestSupport
import Testing

/// An operation whose caller has no time left is not begun: nothing is sent, nothing changes, and the error says so.
@Suite(.blocking) struct NoTimeLeftTests {
    struct Operation: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let run: @Sendable (borrowing Client, borrowing Collection) throws(MongoError) -> Void

        init(_ name: String, _ run: @escaping @Sendable (borrowing Client, borrowing Collection) throws(MongoError) -> Void) {
            testDescription = name
            self.run = run
        }
    }

    static let operations = [
        Operation("find") { (_, things) throws(MongoError) in _ = try things.findOne(everything, FindOptions(timeLimit: .zero)) },
        Operation("count") { (_, things) throws(MongoError) in _ = try things.count(everything, timeLimit: .zero) },
        Operation("insertMany") { (_, things) throws(MongoError) in _ = try things.insertMany([thing(9)], timeLimit: .zero) },
        Operation("updateOne") { (_, things) throws(MongoError) in _ = try things.updateOne(byID(1), increment(), timeLimit: .zero) },
        Operation("updateMany") { (_, things) throws(MongoError) in _ = try things.updateMany(byID(1), increment(), timeLimit: .zero) },
        Operation("replaceOne") { (_, things) throws(MongoError) in _ = try things.replaceOne(byID(1), thing(1, 7), timeLimit: .zero) },
        Operation("deleteOne") { (_, things) throws(MongoError) in _ = try things.deleteOne(byID(1), timeLimit: .seconds(-1)) },
        Operation("deleteMany") { (_, things) throws(MongoError) in _ = try things.deleteMany(byID(1), timeLimit: .zero) },
        Operation("findOneAndUpdate") { (_, things) throws(MongoError) in
            _ = try things.findOneAndUpdate(byID(1), increment(), timeLimit: .zero)
        },
        Operation("a bulk write") { (_, things) throws(MongoError) in
            var bulk = try things.bulkWrite()
            try bulk.insert(thing(9))
            _ = try bulk.execute(timeLimit: .zero)
        },
        Operation("a command") { (client, _) throws(MongoError) in
            try client.runCommand(Document { $0.append("ping", 1) }, in: "admin", timeLimit: .zero)
        },
    ]

    @Test(arguments: operations) func nothingIsSent(_ operation: Operation) throws {
        let pool = try TestPool()
        try pool.withThings { (client, things) throws(MongoError) in
            try things.insertOne(thing(1))
            let before = CommandTime.ofThisThread
            let error = failure { () throws(MongoError) in try operation.run(client, things) }
            #expect(error?.kind == .timeout && error?.mayHaveRun == false)
            #expect(CommandTime.ofThisThread == before)
            let count = try things.count(everything)
            #expect(count == 1)
        }
    }
}
