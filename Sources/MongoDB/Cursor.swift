internal import CMongoC

/// The rows of a query, one at a time: `while let row = try cursor.next() { ... }`
package struct Cursor: ~Copyable, ~Escapable {
    private let handle: OpaquePointer

    @_lifetime(immortal)
    init(stealing handle: OpaquePointer) {
        self.handle = handle
    }

    deinit {
        mongoc_cursor_destroy(handle)
    }

    /// The next row, valid until the next call, or nil after the last one.
    @_lifetime(&self)
    package mutating func next() throws(MongoError) -> DocumentView? {
        var row: OpaquePointer?
        if mongoc_cursor_next(handle, &row), let row {
            return DocumentView(RawBSON(row).bytes, count: RawBSON(row).count, of: self)
        }
        var error = bson_error_t()
        var reply: OpaquePointer?
        if mongoc_cursor_error_document(handle, &error, &reply) { throw MongoError(error, reply: reply) }
        return nil
    }
}
