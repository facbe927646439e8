import MongoDB
import TestSupport
import Testing

/// Each thread knows how long it waited for the database's answers.
@Suite(.blocking) struct CommandTimeTests {
    @Test func whatAThreadWaitsForIsCountedThereAndNowhereElse() throws {
        let things = try TestPool()
        let before = CommandTime.ofThisThread
        try things.withThings { (_, things) throws(MongoError) in
            for id in 0..<20 { try things.insertOne(thing(id)) }
        }
        let afterwards = CommandTime.ofThisThread
        #expect(afterwards > before)
        // Failed ones took their time, too.
        try things.withThings { (_, things) throws(MongoError) in
            let error = failure { () throws(MongoError) in _ = try things.count(Document { $0.append("$nonsense", 1) }) }
            #expect(error?.kind == .server)
        }
        #expect(CommandTime.ofThisThread > afterwards)
        runInThread { #expect(CommandTime.ofThisThread == .zero) }
    }
}
