import Glibc
import MongoDB
import Testing
import TestSupport

/// At -O a deinit of a noncopyable value can be skipped (swift#89832 in generic types, which ours are not): to be run with
/// `swift test -c release` too. In a process of its own, whose memory is nobody else's.
@Suite(.blocking) struct LeakTests {
    @Test func everyHandleIsFreed() async {
        let uri: String = TestMongo.shared.uri
        let database: String = TestMongo.freshDatabase().name
        await #expect(processExitsWith: .success) { [uri = uri as String, database = database as String] in
            let pool = try ClientPool(uri: uri, appName: "leaks", size: 1, timeouts: .background)
            try pool.withClient { (client) throws(MongoError) in
                _ = try client.collection("things", in: database).insertMany((0..<10).map { thing($0) })
            }
            func useEverything(times: Int) throws(MongoError) {
                for _ in 0..<times { try pool.withClient { (client) throws(MongoError) in try useHandles(client, database) } }
            }
            // The heap grows in steps now and then; what is lost in each round makes every interval grow, and the smallest
            // thing to lose is a document of some 150 bytes.
            var growth: [Int] = []
            for _ in 0..<5 {
                let before = try residentKibibytes()
                try useEverything(times: 100)
                growth.append(try residentKibibytes() - before)
            }
            #expect(growth.contains { $0 <= 8 }, "KiB in each hundred rounds: \(growth)")
        }
    }
}

/// Makes and drops one of each: document, cursor, session, transaction, bulk write, update, error with its reply.
private func useHandles(_ client: borrowing Client, _ database: String) throws(MongoError) {
    let things = client.collection("things", in: database)
    var cursor = try things.find(everything, FindOptions(sort: byID(1), limit: 5))
    _ = try cursor.next()
    let batch = try things.findBatch(everything, FindOptions(sort: byID(1), limit: 5))
    _ = try batch[0].int64("_id")
    let session = try client.startSession()
    let inside = session.collection("things", in: database)
    try session.startTransaction()
    try inside.updateOne(byID(1), increment())
    session.abortTransaction()
    var bulk = try things.bulkWrite()
    try bulk.updateOne(byID(-1), increment())
    _ = try bulk.execute()
    _ = try things.findOneAndUpdate(byID(-1), increment())
    do throws(MongoError) {
        try things.insertOne(thing(1))
    } catch {
        guard error.kind == .duplicateKey else { throw error }
    }
}

private func residentKibibytes() throws -> Int {
    let file = open("/proc/self/statm", O_RDONLY)
    try #require(file >= 0)
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 100)
    let count = read(file, &bytes, bytes.count)
    let numbers = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: " ")
    let pages = try #require(numbers.count > 1 ? Int(numbers[1]) : nil)
    return pages * 4
}
