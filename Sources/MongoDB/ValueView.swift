internal import CMongoC

/// One field of a document that somebody else owns. Each getter is nil when the value is of another type.
package struct ValueView: ~Escapable {
    let element: BSONElement

    @_lifetime(immortal)
    init(unowned element: BSONElement) {
        self.element = element
    }

    package var key: String { String(decoding: element.key, as: UTF8.self) }

    package var isNull: Bool { element.type == BSON_TYPE_NULL }

    package var string: String? {
        text.flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// A string where it lies, known to be UTF-8.
    package var utf8: UTF8Span? {
        @_lifetime(copy self)
        get {
            guard let text else { return nil }
            do {
                return tied(try UTF8Span(validating: Span(_unsafeElements: text)), to: self)
            } catch {
                return nil
            }
        }
    }

    /// A string whose bytes are not UTF-8.
    var holdsBrokenText: Bool {
        text.map { !$0.isUTF8 } ?? false
    }

    /// A string's bytes, without its length and its NUL.
    private var text: UnsafeBufferPointer<UInt8>? {
        guard element.type == BSON_TYPE_UTF8 else { return nil }
        return UnsafeBufferPointer(start: body + 4, count: element.valueLength - 5)
    }

    /// An int64 or an int32; counts and sums come back from the database as either.
    package var int64: Int64? {
        switch element.type {
        case BSON_TYPE_INT32: Int64(element.load(Int32.self))
        case BSON_TYPE_INT64: element.load(Int64.self)
        default: nil
        }
    }

    /// A double, or an integer as one.
    package var double: Double? {
        if let integer = int64 { return Double(integer) }
        return element.type == BSON_TYPE_DOUBLE ? Double(bitPattern: element.load(UInt64.self)) : nil
    }

    package var bool: Bool? {
        element.type == BSON_TYPE_BOOL ? element.value[0] != 0 : nil
    }

    package var date: BSONDate? {
        element.type == BSON_TYPE_DATE_TIME ? BSONDate(millisecondsSince1970: element.load(Int64.self)) : nil
    }

    /// A timestamp of the database's own, as one number: seconds first, so that later ones are greater.
    var timestamp: UInt64? {
        element.type == BSON_TYPE_TIMESTAMP ? element.load(UInt64.self) : nil
    }

    /// Binary data of any subtype.
    package var binary: [UInt8]? {
        element.type == BSON_TYPE_BINARY ? [UInt8](element.value.dropFirst(5)) : nil
    }

    package var document: DocumentView? {
        @_lifetime(copy self)
        get {
            guard element.type == BSON_TYPE_DOCUMENT else { return nil }
            return tied(DocumentView(unowned: body, count: element.valueLength), to: self)
        }
    }

    package var array: ArrayView? {
        @_lifetime(copy self)
        get {
            guard element.type == BSON_TYPE_ARRAY else { return nil }
            return tied(ArrayView(unowned: body, count: element.valueLength), to: self)
        }
    }

    private var body: UnsafePointer<UInt8> { element.base + (element.offset + element.keyLength + 2) }
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
