internal import CMongoC

/// Appends fields to a document that is being built. It exists inside the closure that builds, and allocates nothing of
/// its own: libbson writes every field straight into the document's one buffer.
package struct DocumentBuilder: ~Copyable {
    let bson: RawBSON
    /// An append was refused because the whole would pass 2 GiB; reported when the document is used.
    var overflowed = false

    init(_ bson: RawBSON) {
        self.bson = bson
    }

    package mutating func append(_ key: FieldName, _ value: String) {
        note(bson.append(key.pointer, key.byteCount, value))
    }

    /// Appends text that is still bytes, after checking that it is UTF-8.
    package mutating func append(_ key: FieldName, utf8 bytes: UnsafeBufferPointer<UInt8>) throws(MongoError) {
        guard bytes.isUTF8 else { throw MongoError(.invalidArgument, "the text for field '\(key)' is not valid UTF-8") }
        note(bson.append(key.pointer, key.byteCount, utf8: bytes))
    }

    package mutating func append(_ key: FieldName, _ value: Int32) {
        note(bson_append_int32(bson.handle, key.pointer, key.byteCount, value))
    }

    package mutating func append(_ key: FieldName, _ value: Int64) {
        note(bson_append_int64(bson.handle, key.pointer, key.byteCount, value))
    }

    /// Appends an int64: what a literal becomes.
    package mutating func append(_ key: FieldName, _ value: Int) {
        note(bson_append_int64(bson.handle, key.pointer, key.byteCount, Int64(value)))
    }

    package mutating func append(_ key: FieldName, _ value: Double) {
        note(bson_append_double(bson.handle, key.pointer, key.byteCount, value))
    }

    package mutating func append(_ key: FieldName, _ value: Bool) {
        note(bson_append_bool(bson.handle, key.pointer, key.byteCount, value))
    }

    package mutating func append(_ key: FieldName, _ value: BSONDate) {
        note(bson_append_date_time(bson.handle, key.pointer, key.byteCount, value.millisecondsSince1970))
    }

    mutating func append(_ key: FieldName, _ value: ClusterTime) {
        let (seconds, increment) = (UInt32(truncatingIfNeeded: value.value >> 32), UInt32(truncatingIfNeeded: value.value))
        note(bson_append_timestamp(bson.handle, key.pointer, key.byteCount, seconds, increment))
    }

    /// Appends binary data of the generic subtype.
    package mutating func append(_ key: FieldName, _ value: [UInt8]) {
        note(bson.append(key.pointer, key.byteCount, binary: value, BSON_SUBTYPE_BINARY))
    }

    /// Appends a session's id as the UUID it is.
    package mutating func append(_ key: FieldName, _ value: SessionID) {
        note(bson.append(key.pointer, key.byteCount, binary: value.bytes, BSON_SUBTYPE_UUID))
    }

    package mutating func append(_ key: FieldName, _ value: Document) {
        note(bson.append(key.pointer, key.byteCount, value))
    }

    /// Copies a document that is being read.
    package mutating func append(_ key: FieldName, _ value: DocumentView) {
        note(bson.append(key.pointer, key.byteCount, documentAt: value.base, value.count))
    }

    /// Copies one field's value, of whatever type.
    package mutating func append(_ key: FieldName, _ value: ValueView) {
        note(bson.append(key.pointer, key.byteCount, value.element))
    }

    package mutating func appendNull(_ key: FieldName) {
        note(bson_append_null(bson.handle, key.pointer, key.byteCount))
    }

    package mutating func append(_ key: FieldName, _ values: [String]) {
        array(key) { array in
            for value in values { array.append(value) }
        }
    }

    package mutating func append(_ key: FieldName, _ values: [Int64]) {
        array(key) { array in
            for value in values { array.append(value) }
        }
    }

    package mutating func append(_ key: FieldName, _ values: [Document]) {
        array(key) { array in
            for value in values { array.append(value) }
        }
    }

    /// Appends a document that `build` fills in place.
    package mutating func document<E: Error>(_ key: FieldName, _ build: (inout DocumentBuilder) throws(E) -> Void) throws(E) {
        note(try bson.appendDocument(key.pointer, key.byteCount, build))
    }

    /// Appends an array that `build` fills in place.
    package mutating func array<E: Error>(_ key: FieldName, _ build: (inout ArrayBuilder) throws(E) -> Void) throws(E) {
        note(try bson.appendArray(key.pointer, key.byteCount, build))
    }

    /// Remembers a refused append.
    private mutating func note(_ appended: Bool) {
        if !appended { overflowed = true }
    }
}

extension DocumentBuilder {
    /// Appends as an array what `asArray` filled.
    mutating func append(_ key: FieldName, array: Document) {
        guard let other = array.handle else {
            overflowed = true
            return
        }
        defer { withExtendedLifetime(array) {} }
        if !bson_append_array(bson.handle, key.pointer, key.byteCount, other) { overflowed = true }
    }

    /// Fills the document itself with an array's elements, as C functions want a pipeline.
    mutating func asArray(_ build: (inout ArrayBuilder) -> Void) {
        var array = ArrayBuilder(bson)
        build(&array)
        if array.overflowed { overflowed = true }
    }
}
