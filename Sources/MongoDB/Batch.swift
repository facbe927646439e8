internal import CMongoC

/// The rows of a query that came in one reply of the database, which this value owns: they can be read in any order, as often
/// as one likes, and after the client has gone back to its pool.
package struct Batch: Sendable {
    private let reply: Reply
    /// Where each row begins in it.
    private var offsets: [Int]

    init(_ reply: Reply, capacity: Int) throws(MongoError) {
        self.reply = reply
        defer { withExtendedLifetime(reply) {} }
        let cursor = try reply.view.document("cursor")
        guard try cursor.int64("id") == 0 else {
            throw MongoError(.documentTooLarge, "the rows do not fit into one reply of the database")
        }
        let batch = try cursor.array("firstBatch")
        var offsets: [Int] = []
        offsets.reserveCapacity(capacity)
        try batch.forEachDocument { (row) throws(MongoError) in offsets.append(row.base - reply.bytes) }
        self.offsets = offsets
    }

    private init(_ reply: Reply, offsets: [Int]) {
        self.reply = reply
        self.offsets = offsets
    }

    /// The rows by the part that they say they belong to, in a field of type int32, from 0 to less than `count`; in the same order.
    package func parts(_ count: Int, by field: FieldName) throws(MongoError) -> [Batch] {
        var offsets = [[Int]](repeating: [], count: count)
        for index in 0..<self.count { offsets[Int(try self[index].int32(field))].append(self.offsets[index]) }
        return offsets.map { Batch(reply, offsets: $0) }
    }

    /// What came with the rows.
    var replyView: DocumentView {
        @_lifetime(borrow self)
        get { tied(DocumentView(unowned: reply.bson), to: self) }
    }

    /// Turns the order of the rows round.
    package mutating func reverse() { offsets.reverse() }

    /// Forgets the rows after the first `count`.
    package mutating func truncate(to count: Int) { offsets.removeLast(max(0, offsets.count - count)) }

    /// How many rows there are.
    package var count: Int { offsets.count }

    /// The row with this index, from 0.
    package subscript(_ index: Int) -> DocumentView {
        @_lifetime(borrow self)
        get {
            let row = reply.bytes + offsets[index]
            return DocumentView(row, count: RawBSON.length(at: row), of: self)
        }
    }
}

/// A reply of the database to a command.
final class Reply: Sendable {
    /// Lies in memory of ours, as libmongoc only fills it in. Written before the value is shared, and only read afterwards.
    nonisolated(unsafe) let bson: OpaquePointer
    private nonisolated(unsafe) let room: UnsafeMutableRawPointer

    /// Runs a libmongoc function that takes an uninitialized reply, and always initializes it.
    init(_ call: (OpaquePointer, UnsafeMutablePointer<bson_error_t>) -> Bool) throws(MongoError) {
        room = .allocate(byteCount: RawBSON.roomBytes, alignment: RawBSON.roomBytes)
        bson = OpaquePointer(room)
        var error = bson_error_t()
        guard call(bson, &error) else { throw MongoError(error, reply: bson) }
    }

    deinit {
        bson_destroy(bson)
        room.deallocate()
    }

    var bytes: UnsafePointer<UInt8> { RawBSON(bson).bytes }

    var view: DocumentView {
        @_lifetime(borrow self)
        get { DocumentView(bytes, count: RawBSON(bson).count, of: self) }
    }
}
