internal import CMongoC

/// An owned BSON document: built once, then immutable, cheap to copy and safe to share.
package struct Document: Sendable {
    private let storage: Storage

    /// Builds a document field by field:
    /// `Document { $0.append("_id", id); $0.document("price") { $0.append("units", 12) } }`
    ///
    /// - Parameter bytes: what the document will need, if known; it grows by itself otherwise.
    package init<E: Error>(reserving bytes: Int = 0, _ build: (inout DocumentBuilder) throws(E) -> Void) throws(E) {
        let storage = Storage(reserving: bytes)
        var builder = DocumentBuilder(RawBSON(storage.bson))
        try build(&builder)
        storage.overflowed = builder.overflowed
        self.storage = storage
    }

    /// An empty document.
    package init() {
        storage = Storage(reserving: 0)
    }

    /// Takes over bytes that came from elsewhere, after a full check of their structure and their text.
    package init(bytes: [UInt8]) throws(MongoError) {
        let made = bytes.withUnsafeBufferPointer { bson_new_from_data($0.baseAddress, $0.count) }
        guard let made else { throw MongoError(.malformedDocument, "the bytes are not one BSON document") }
        storage = Storage(stealing: made)
        // libbson 1.23 walks nested documents by recursion, and stops without an error where text is not UTF-8.
        try view.checkText(depthLeft: Self.depthLimit)
        guard bson_validate(made, BSON_VALIDATE_NONE, nil) else {
            throw MongoError(.malformedDocument, "the bytes hold a broken field")
        }
    }

    /// MongoDB's own limit of nesting.
    private static let depthLimit = 200

    /// Takes over a document that libmongoc or libbson made.
    init(stealing bson: OpaquePointer) {
        storage = Storage(stealing: bson)
    }

    /// Copies a document that somebody else owns.
    init(copying bson: OpaquePointer) {
        storage = Storage(stealing: bson_copy(bson))
    }

    /// Copies a document out of its owner.
    package init(copying view: DocumentView) {
        guard let copy = bson_new_from_data(view.base, view.count) else {
            preconditionFailure("a view always lies on a whole document")
        }
        storage = Storage(stealing: copy)
    }

    package var byteCount: Int { RawBSON(storage.bson).count }

    package var bytes: [UInt8] {
        [UInt8](UnsafeBufferPointer(start: bson_get_data(storage.bson), count: byteCount))
    }

    /// The document for reading.
    package var view: DocumentView {
        @_lifetime(borrow self)
        get { DocumentView(bson_get_data(storage.bson), count: byteCount, of: self) }
    }

    /// The handle, unless an append was refused. It lives as long as this value, which the caller keeps alive with
    /// `withExtendedLifetime`.
    var handle: OpaquePointer? { storage.overflowed ? nil : storage.bson }

    /// The handle for a libmongoc call; see `handle`.
    func checked() throws(MongoError) -> OpaquePointer {
        guard let handle else {
            throw MongoError(.documentTooLarge, "the document outgrew BSON's limit of 2 GiB while it was built")
        }
        return handle
    }

    /// Runs `body` with the handle, which is valid inside it only.
    func withUnsafeBSON<R: ~Copyable>(_ body: (OpaquePointer) throws(MongoError) -> R) throws(MongoError) -> R {
        let bson = try checked()
        defer { withExtendedLifetime(storage) {} }
        return try body(bson)
    }

    /// Owns the one `bson_t`.
    private final class Storage: Sendable {
        /// Written while `Document.init` runs and only read afterwards; libbson's const functions touch nothing else.
        nonisolated(unsafe) let bson: OpaquePointer
        /// Set before the value is shared.
        nonisolated(unsafe) var overflowed = false

        init(reserving bytes: Int) {
            bson = bson_sized_new(max(bytes, 0))
        }

        init(stealing bson: OpaquePointer) {
            self.bson = bson
        }

        deinit {
            bson_destroy(bson)
        }
    }
}

extension Document: Equatable {
    /// Equal byte for byte: the same fields in the same order.
    package static func == (left: Document, right: Document) -> Bool {
        bson_equal(left.storage.bson, right.storage.bson)
    }
}

extension Document: CustomStringConvertible {
    /// Relaxed extended JSON, for messages to people.
    package var description: String {
        guard let text = bson_as_relaxed_extended_json(storage.bson, nil) else { return "{...}" }
        defer { bson_free(text) }
        return String(cString: text)
    }
}
