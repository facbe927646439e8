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
        var fields = fields()
        return fields.find(key)
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
        var fields = fields()
        return try fields.utf8(key)
    }

    /// An int64 or an int32.
    package func int64(_ key: FieldName) throws(MongoError) -> Int64 {
        var fields = fields()
        return try fields.int64(key)
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
        var fields = fields()
        return try fields.date(key)
    }

    package func binary(_ key: FieldName) throws(MongoError) -> [UInt8] {
        guard let value = find(key)?.binary else { throw .missing(key, "binary data") }
        return value
    }

    @_lifetime(copy self)
    package func document(_ key: FieldName) throws(MongoError) -> DocumentView {
        var fields = fields()
        return try fields.document(key)
    }

    @_lifetime(copy self)
    package func array(_ key: FieldName) throws(MongoError) -> ArrayView {
        guard let value = find(key)?.array else { throw .missing(key, "an array") }
        return value
    }

    /// Every field in order: `var fields = view.fields(); while let field = fields.next() { field.key ... }`. Or several that must be
    /// there, which costs one walk if they are asked for in the order in which they lie: `let name = try fields.utf8("name")`
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

/// Gives a view the lifetime of what it was made from; the compiler cannot see through the C pointers inside.
@_unsafeNonescapableResult
@_lifetime(copy source)
func tied<View: ~Copyable & ~Escapable, Source: ~Copyable & ~Escapable>(
    _ view: consuming View, to source: borrowing Source
) -> View {
    view
}
