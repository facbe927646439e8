/// Walks the fields of a document, or the elements of an array; or finds fields by their names, each from behind the one before, and only then
/// from the start: those that are asked for in the order in which they lie are found in one walk.
package struct FieldIterator: ~Escapable {
    private let base: UnsafePointer<UInt8>
    private let count: Int
    /// Where the next field begins.
    private var offset = BSONElement.firstOffset

    @_lifetime(immortal)
    init(unowned base: UnsafePointer<UInt8>, count: Int) {
        self.base = base
        self.count = BSONElement.checkedLength(of: base, count)
    }

    @_lifetime(copy self)
    package mutating func next() -> ValueView? {
        guard let element = BSONElement(base, count: count, offset: offset) else { return nil }
        offset = element.end
        return tied(ValueView(unowned: element), to: self)
    }

    /// The field of that name; nil if the document has none.
    @_lifetime(copy self)
    mutating func find(_ key: FieldName) -> ValueView? {
        var found = element(key, from: offset)
        if found == nil, offset > BSONElement.firstOffset { found = element(key, from: BSONElement.firstOffset) }
        guard let found else { return nil }
        offset = found.end
        return tied(ValueView(unowned: found), to: self)
    }

    private func element(_ key: FieldName, from start: Int) -> BSONElement? {
        let name = key.bytes
        var offset = start
        while let element = BSONElement(base, count: count, offset: offset) {
            if element.isNamed(name) { return element }
            offset = element.end
        }
        return nil
    }
}

// MARK: - Fields that must be there

extension FieldIterator {
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
}

extension MongoError {
    /// A document has not the field that it must have.
    static func missing(_ key: FieldName, _ expected: String) -> MongoError {
        MongoError(.malformedDocument, "field '\(key)' is missing or is not \(expected)")
    }
}
