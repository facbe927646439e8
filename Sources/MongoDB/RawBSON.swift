internal import CMongoC

/// A `bson_t` that is somebody's: appends and bytes, below the types that own one.
///
/// libbson aligns `bson_t` and `bson_iter_t` to 128 bytes, which Swift does not import; they are opaque pointers here,
/// and the short-lived ones lie in memory that `withAlignedRoom` lends.
struct RawBSON {
    let handle: OpaquePointer

    init(_ handle: OpaquePointer) {
        self.handle = handle
    }

    var bytes: UnsafePointer<UInt8> {
        bson_get_data(handle)
    }

    var count: Int { Self.length(at: bytes) }

    /// A BSON document begins with its own length.
    static func length(at base: UnsafePointer<UInt8>) -> Int {
        Int(Int32(littleEndian: UnsafeRawPointer(base).loadUnaligned(as: Int32.self)))
    }

    /// Bytes of a `bson_t` or a `bson_iter_t` at most, and what they are aligned to.
    static let roomBytes = 128

    func append(_ key: UnsafePointer<CChar>, _ length: Int32, _ value: String) -> Bool {
        var value = value
        // A Swift string is valid UTF-8 by construction, and its length is passed, so that a NUL inside does not cut it.
        return value.withUTF8 { append(key, length, utf8: $0) }
    }

    func append(_ key: UnsafePointer<CChar>, _ length: Int32, utf8 bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let count = Int32(exactly: bytes.count) else { return false }
        guard let base = bytes.baseAddress else { return bson_append_utf8(handle, key, length, "", 0) }
        return base.withMemoryRebound(to: CChar.self, capacity: bytes.count) { text in
            bson_append_utf8(handle, key, length, text, count)
        }
    }

    func append(_ key: UnsafePointer<CChar>, _ length: Int32, binary: [UInt8], _ subtype: bson_subtype_t) -> Bool {
        guard let count = UInt32(exactly: binary.count) else { return false }
        return binary.withUnsafeBufferPointer { bytes in
            // libbson wants an address even for no bytes.
            withUnsafePointer(to: UInt8(0)) { bson_append_binary(handle, key, length, subtype, bytes.baseAddress ?? $0, count) }
        }
    }

    func append(_ key: UnsafePointer<CChar>, _ length: Int32, _ value: Document) -> Bool {
        guard let other = value.handle else { return false }
        defer { withExtendedLifetime(value) {} }
        return bson_append_document(handle, key, length, other)
    }

    func append(_ key: UnsafePointer<CChar>, _ length: Int32, documentAt base: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        withAlignedRoom { borrowed in
            bson_init_static(borrowed, base, count) && bson_append_document(handle, key, length, borrowed)
        }
    }

    func append(_ key: UnsafePointer<CChar>, _ length: Int32, _ element: BSONElement) -> Bool {
        guard let offset = UInt32(exactly: element.offset), let keyLength = UInt32(exactly: element.keyLength) else { return false }
        return withAlignedRoom { iterator in
            bson_iter_init_from_data_at_offset(iterator, element.base, element.count, offset, keyLength)
                && bson_append_iter(handle, key, length, iterator)
        }
    }

    func appendDocument<E: Error>(
        _ key: UnsafePointer<CChar>, _ length: Int32, _ build: (inout DocumentBuilder) throws(E) -> Void
    ) throws(E) -> Bool {
        // The child writes into the parent's buffer; libbson keeps pointers to both until its end.
        try withAlignedRoom { (child) throws(E) -> Bool in
            guard bson_append_document_begin(handle, key, length, child) else { return false }
            var builder = DocumentBuilder(RawBSON(child))
            defer { bson_append_document_end(handle, child) }
            try build(&builder)
            return !builder.overflowed
        }
    }

    func appendArray<E: Error>(
        _ key: UnsafePointer<CChar>, _ length: Int32, _ build: (inout ArrayBuilder) throws(E) -> Void
    ) throws(E) -> Bool {
        try withAlignedRoom { (child) throws(E) -> Bool in
            guard bson_append_array_begin(handle, key, length, child) else { return false }
            var builder = ArrayBuilder(RawBSON(child))
            defer { bson_append_array_end(handle, child) }
            try build(&builder)
            return !builder.overflowed
        }
    }
}

/// Lends stack memory for one `bson_t` or `bson_iter_t`: both are at most 128 bytes large, and aligned to 128.
func withAlignedRoom<R: ~Copyable, E: Error>(_ body: (OpaquePointer) throws(E) -> R) throws(E) -> R {
    try withUnsafeTemporaryAllocation(byteCount: 2 * RawBSON.roomBytes, alignment: 16) { (room) throws(E) -> R in
        guard let base = room.baseAddress else { preconditionFailure("a buffer of 256 bytes has an address") }
        return try body(OpaquePointer(base.alignedUp(toMultipleOf: RawBSON.roomBytes)))
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// By Unicode's rules; `bson_utf8_validate` takes the overlong NUL of "modified UTF-8" for valid.
    var isUTF8: Bool {
        do {
            _ = try UTF8Span(validating: Span(_unsafeElements: self))
            return true
        } catch {
            return false
        }
    }
}
