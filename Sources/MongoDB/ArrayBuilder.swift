internal import CMongoC

/// Appends elements to an array that is being built; see `DocumentBuilder`.
package struct ArrayBuilder: ~Copyable {
    let bson: RawBSON
    var overflowed = false
    /// Elements so far; BSON names each by its index.
    package private(set) var count: UInt32 = 0

    init(_ bson: RawBSON) {
        self.bson = bson
    }

    package mutating func append(_ value: String) {
        withNextKey { bson, key, length in bson.append(key, length, value) }
    }

    package mutating func append(_ value: Int32) {
        withNextKey { bson, key, length in bson_append_int32(bson.handle, key, length, value) }
    }

    package mutating func append(_ value: Int64) {
        withNextKey { bson, key, length in bson_append_int64(bson.handle, key, length, value) }
    }

    /// Appends an int64: what a literal becomes.
    package mutating func append(_ value: Int) {
        append(Int64(value))
    }

    package mutating func append(_ value: Double) {
        withNextKey { bson, key, length in bson_append_double(bson.handle, key, length, value) }
    }

    package mutating func append(_ value: Bool) {
        withNextKey { bson, key, length in bson_append_bool(bson.handle, key, length, value) }
    }

    package mutating func append(_ value: BSONDate) {
        withNextKey { bson, key, length in bson_append_date_time(bson.handle, key, length, value.millisecondsSince1970) }
    }

    /// Appends binary data of the generic subtype.
    package mutating func append(_ value: [UInt8]) {
        withNextKey { bson, key, length in bson.append(key, length, binary: value, BSON_SUBTYPE_BINARY) }
    }

    package mutating func append(_ value: Document) {
        withNextKey { bson, key, length in bson.append(key, length, value) }
    }

    /// Copies a document that is being read.
    package mutating func append(_ value: DocumentView) {
        let (base, size) = (value.base, value.count)
        withNextKey { bson, key, length in bson.append(key, length, documentAt: base, size) }
    }

    package mutating func appendNull() {
        withNextKey { bson, key, length in bson_append_null(bson.handle, key, length) }
    }

    /// Appends a document that `build` fills in place.
    package mutating func document<E: Error>(_ build: (inout DocumentBuilder) throws(E) -> Void) throws(E) {
        try withNextKey { (bson, key, length) throws(E) in try bson.appendDocument(key, length, build) }
    }

    /// Appends an array that `build` fills in place.
    package mutating func array<E: Error>(_ build: (inout ArrayBuilder) throws(E) -> Void) throws(E) {
        try withNextKey { (bson, key, length) throws(E) in try bson.appendArray(key, length, build) }
    }

    /// Calls `append` with the next index as a key. libbson keeps the first thousand as constants; longer ones are
    /// written to `digits`.
    private mutating func withNextKey<E: Error>(
        _ append: (RawBSON, UnsafePointer<CChar>, Int32) throws(E) -> Bool
    ) throws(E) {
        var digits: (UInt64, UInt64) = (0, 0)
        var key: UnsafePointer<CChar>?
        let appended = try withUnsafeMutableBytes(of: &digits) { (buffer) throws(E) -> Bool in
            let room = buffer.bindMemory(to: CChar.self)
            let length = bson_uint32_to_string(count, &key, room.baseAddress, room.count)
            guard let key else { return false }
            return try append(bson, key, Int32(length))
        }
        count += 1
        if !appended { overflowed = true }
    }
}
