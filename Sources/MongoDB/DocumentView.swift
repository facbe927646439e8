internal import CMongoC

/// A document that somebody else owns, for reading in place: fields are found by walking the bytes, nothing is copied but
/// what a getter returns. The compiler keeps a view from outliving its owner (a `Document`, or a cursor's current row).
///
/// Getters that throw are for fields that must be there; `find` is for those that may be missing.
package struct DocumentView: ~Escapable {
    let base: UnsafePointer<UInt8>
    package let count: Int

    @_lifetime(borrow owner)
    init(_ base: UnsafePointer<UInt8>, count: Int, of owner: borrowing some ~Copyable & ~Escapable) {
        self.base = base
        self.count = count
    }

    /// The caller ties the lifetime to the owner.
    @_lifetime(immortal)
    init(unowned base: UnsafePointer<UInt8>, count: Int) {
        self.base = base
        self.count = count
    }

    /// A `bson_t`'s document; the caller ties the lifetime to the owner.
    @_lifetime(immortal)
    init(unowned handle: OpaquePointer) {
        self.init(unowned: RawBSON(handle).bytes, count: RawBSON(handle).count)
    }

    /// The field's value, or nil if the document has no such field.
    @_lifetime(copy self)
    package func find(_ key: FieldName) -> ValueView? {
        guard let element = BSONElement.find(key, in: base, count: count) else { return nil }
        return tied(ValueView(unowned: element), to: self)
    }

    package func contains(_ key: FieldName) -> Bool {
        find(key) != nil
    }

    package func string(_ key: FieldName) throws(MongoError) -> String {
        guard let value = find(key)?.string else { throw .missing(key, "a string") }
        return value
    }

    /// A string where it lies.
    @_lifetime(copy self)
    package func utf8(_ key: FieldName) throws(MongoError) -> UTF8Span {
        guard let value = find(key)?.utf8 else { throw .missing(key, "a string") }
        return value
    }

    /// An int64 or an int32.
    package func int64(_ key: FieldName) throws(MongoError) -> Int64 {
        guard let value = find(key)?.int64 else { throw .missing(key, "an integer") }
        return value
    }

    package func int32(_ key: FieldName) throws(MongoError) -> Int32 {
        guard let value = find(key)?.int64, let narrow = Int32(exactly: value) else { throw .missing(key, "a 32-bit integer") }
        return narrow
    }

    package func double(_ key: FieldName) throws(MongoError) -> Double {
        guard let value = find(key)?.double else { throw .missing(key, "a number") }
        return value
    }

    package func bool(_ key: FieldName) throws(MongoError) -> Bool {
        guard let value = find(key)?.bool else { throw .missing(key, "a boolean") }
        return value
    }

    package func date(_ key: FieldName) throws(MongoError) -> BSONDate {
        guard let value = find(key)?.date else { throw .missing(key, "a date") }
        return value
    }

    package func binary(_ key: FieldName) throws(MongoError) -> [UInt8] {
        guard let value = find(key)?.binary else { throw .missing(key, "binary data") }
        return value
    }

    @_lifetime(copy self)
    package func document(_ key: FieldName) throws(MongoError) -> DocumentView {
        guard let value = find(key)?.document else { throw .missing(key, "a document") }
        return value
    }

    @_lifetime(copy self)
    package func array(_ key: FieldName) throws(MongoError) -> ArrayView {
        guard let value = find(key)?.array else { throw .missing(key, "an array") }
        return value
    }

    /// For several fields that must be there: `var search = view.search(); let name = try search.utf8("name")`
    @_lifetime(copy self)
    package func search() -> FieldSearch {
        tied(FieldSearch(unowned: base, count: count), to: self)
    }

    /// Every field in order: `var fields = view.fields(); while let field = fields.next() { field.key ... }`
    @_lifetime(copy self)
    package func fields() -> FieldIterator {
        tied(FieldIterator(unowned: base, count: count), to: self)
    }

    /// Throws if any string in here is not UTF-8, or documents are nested deeper than that.
    func checkText(depthLeft: Int) throws(MongoError) {
        guard depthLeft > 0 else { throw MongoError(.malformedDocument, "documents are nested too deep") }
        var fields = fields()
        while let field = fields.next() {
            if let inner = field.document {
                try inner.checkText(depthLeft: depthLeft - 1)
            } else if let inner = field.array {
                try DocumentView(unowned: inner.base, count: inner.count).checkText(depthLeft: depthLeft - 1)
            } else if field.holdsBrokenText {
                throw MongoError(.malformedDocument, "field '\(field.key)' holds text that is not UTF-8")
            }
        }
    }
}

/// Walks the fields of a document, or the elements of an array.
package struct FieldIterator: ~Escapable {
    private let base: UnsafePointer<UInt8>
    private let count: Int
    /// The field that `next` returned last.
    private var current: BSONElement?

    @_lifetime(immortal)
    init(unowned base: UnsafePointer<UInt8>, count: Int) {
        self.base = base
        self.count = count
    }

    @_lifetime(copy self)
    package mutating func next() -> ValueView? {
        guard let element = current.map(\.next) ?? BSONElement.first(in: base, count: count) else { return nil }
        current = element
        return tied(ValueView(unowned: element), to: self)
    }
}

/// Gives a view the lifetime of what it was made from; the compiler cannot see through the C pointers inside.
@_unsafeNonescapableResult
@_lifetime(copy source)
func tied<View: ~Copyable & ~Escapable, Source: ~Copyable & ~Escapable>(
    _ view: consuming View, to source: borrowing Source
) -> View {
    view
}
