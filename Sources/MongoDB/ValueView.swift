internal import CMongoC

/// One field of a document that somebody else owns. Each getter is nil when the value is of another type.
package struct ValueView: ~Escapable {
    let position: BSONPosition

    @_lifetime(immortal)
    init(unowned position: BSONPosition) {
        self.position = position
    }

    package var key: String {
        position.withIterator { String(cString: bson_iter_key($0)) } ?? ""
    }

    package var isNull: Bool {
        read(BSON_TYPE_NULL) { _ in true } ?? false
    }

    package var string: String? {
        read(BSON_TYPE_UTF8) { String(validating: Self.text($0), as: UTF8.self) } ?? nil
    }

    /// A string whose bytes are not UTF-8.
    var holdsBrokenText: Bool {
        read(BSON_TYPE_UTF8) { !Self.text($0).isUTF8 } ?? false
    }

    private static func text(_ iterator: OpaquePointer) -> UnsafeBufferPointer<UInt8> {
        var count: UInt32 = 0
        let text = bson_iter_utf8(iterator, &count)
        return UnsafeRawBufferPointer(start: text, count: Int(count)).assumingMemoryBound(to: UInt8.self)
    }

    /// An int64 or an int32; counts and sums come back from the database as either.
    package var int64: Int64? {
        position.withIterator { iterator -> Int64? in
            switch bson_iter_type(iterator) {
            case BSON_TYPE_INT32: Int64(bson_iter_int32(iterator))
            case BSON_TYPE_INT64: bson_iter_int64(iterator)
            default: nil
            }
        } ?? nil
    }

    /// A double, or an integer as one.
    package var double: Double? {
        if let integer = int64 { return Double(integer) }
        return read(BSON_TYPE_DOUBLE) { bson_iter_double($0) }
    }

    package var bool: Bool? {
        read(BSON_TYPE_BOOL) { bson_iter_bool($0) }
    }

    package var date: BSONDate? {
        read(BSON_TYPE_DATE_TIME) { BSONDate(millisecondsSince1970: bson_iter_date_time($0)) }
    }

    /// Binary data of any subtype.
    package var binary: [UInt8]? {
        read(BSON_TYPE_BINARY) { iterator in
            var subtype = BSON_SUBTYPE_BINARY
            var count: UInt32 = 0
            var bytes: UnsafePointer<UInt8>?
            bson_iter_binary(iterator, &subtype, &count, &bytes)
            return [UInt8](UnsafeBufferPointer(start: bytes, count: Int(count)))
        }
    }

    package var document: DocumentView? {
        @_lifetime(copy self)
        get {
            guard let body = body(BSON_TYPE_DOCUMENT, bson_iter_document) else { return nil }
            return tied(DocumentView(unowned: body.base, count: body.count), to: self)
        }
    }

    package var array: ArrayView? {
        @_lifetime(copy self)
        get {
            guard let body = body(BSON_TYPE_ARRAY, bson_iter_array) else { return nil }
            return tied(ArrayView(unowned: body.base, count: body.count), to: self)
        }
    }

    /// Nil when the value is of another type.
    private func read<R>(_ type: bson_type_t, _ get: (OpaquePointer) -> R) -> R? {
        position.withIterator { bson_iter_type($0) == type ? get($0) : nil } ?? nil
    }

    private func body(
        _ type: bson_type_t,
        _ get: (OpaquePointer?, UnsafeMutablePointer<UInt32>?, UnsafeMutablePointer<UnsafePointer<UInt8>?>?) -> Void
    ) -> (base: UnsafePointer<UInt8>, count: Int)? {
        read(type) { iterator -> (UnsafePointer<UInt8>, Int)? in
            var count: UInt32 = 0
            var base: UnsafePointer<UInt8>?
            get(iterator, &count, &base)
            guard let base else { return nil }
            return (base, Int(count))
        } ?? nil
    }
}

/// An array that somebody else owns: `var lines = array.elements(); while let line = lines.next() { ... }`
package struct ArrayView: ~Escapable {
    let base: UnsafePointer<UInt8>
    let count: Int

    @_lifetime(immortal)
    init(unowned base: UnsafePointer<UInt8>, count: Int) {
        self.base = base
        self.count = count
    }

    @_lifetime(copy self)
    package func elements() -> FieldIterator {
        tied(FieldIterator(unowned: base, count: count), to: self)
    }

    /// Calls `body` with every element that is a document, in order; an element of another type is an error.
    package func forEachDocument<E: Error>(_ body: (DocumentView) throws(E) -> Void, otherwise: () -> E) throws(E) {
        var elements = elements()
        while let element = elements.next() {
            guard let document = element.document else { throw otherwise() }
            try body(document)
        }
    }

    /// Calls `body` with every element that is a document, in order; an element of another type is an error.
    package func forEachDocument(_ body: (DocumentView) throws(MongoError) -> Void) throws(MongoError) {
        try forEachDocument(body) { MongoError(.malformedDocument, "an array holds something else than documents") }
    }

    /// All elements, which must be strings.
    package func strings() throws(MongoError) -> [String] {
        var result: [String] = []
        var elements = elements()
        while let element = elements.next() {
            guard let string = element.string else {
                throw MongoError(.malformedDocument, "an array holds something else than strings")
            }
            result.append(string)
        }
        return result
    }

    /// All elements, which must be integers.
    package func int64s() throws(MongoError) -> [Int64] {
        var result: [Int64] = []
        var elements = elements()
        while let element = elements.next() {
            guard let integer = element.int64 else {
                throw MongoError(.malformedDocument, "an array holds something else than integers")
            }
            result.append(integer)
        }
        return result
    }
}
