/// Finds the fields of one document that must be there, each from behind the one that was found before, and only then from the start: those
/// that are asked for in the order in which they lie are found in one walk.
package struct FieldSearch: ~Escapable {
    private let base: UnsafePointer<UInt8>
    private let count: Int
    /// The field that was found last.
    private var latest: BSONElement?

    @_lifetime(immortal)
    init(unowned base: UnsafePointer<UInt8>, count: Int) {
        self.base = base
        self.count = count
    }

    /// A string where it lies.
    @_lifetime(copy self)
    package mutating func utf8(_ key: FieldName) throws(MongoError) -> UTF8Span {
        guard let value = find(key)?.utf8 else { throw .missing(key, "a string") }
        return value
    }

    /// An int64 or an int32.
    package mutating func int64(_ key: FieldName) throws(MongoError) -> Int64 {
        guard let value = find(key)?.int64 else { throw .missing(key, "an integer") }
        return value
    }

    package mutating func date(_ key: FieldName) throws(MongoError) -> BSONDate {
        guard let value = find(key)?.date else { throw .missing(key, "a date") }
        return value
    }

    @_lifetime(copy self)
    package mutating func document(_ key: FieldName) throws(MongoError) -> DocumentView {
        guard let value = find(key)?.document else { throw .missing(key, "a document") }
        return value
    }

    @_lifetime(copy self)
    private mutating func find(_ key: FieldName) -> ValueView? {
        var next = latest.flatMap(\.next)
        while let element = next {
            if element.isNamed(key) { return found(element) }
            next = element.next
        }
        guard let element = BSONElement.find(key, in: base, count: count) else { return nil }
        return found(element)
    }

    @_lifetime(copy self)
    private mutating func found(_ element: BSONElement) -> ValueView {
        latest = element
        return tied(ValueView(unowned: element), to: self)
    }
}

extension MongoError {
    /// A document has not the field that it must have.
    static func missing(_ key: FieldName, _ expected: String) -> MongoError {
        MongoError(.malformedDocument, "field '\(key)' is missing or is not \(expected)")
    }
}
