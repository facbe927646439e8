internal import CMongoC
internal import Glibc

/// One field in a document's bytes: where it is, and what is there. Found by walking over the bytes: libbson's iterator does
/// the same, but wants 128 aligned bytes for each look and reads what nobody asked for.
///
/// Nothing in the bytes is taken on trust: what would lie beyond the document's end is not a field.
struct BSONElement {
    /// The document's bytes.
    let base: UnsafePointer<UInt8>
    let count: Int
    /// Where the field begins: its type, its key and a NUL, its value.
    let offset: Int
    let keyLength: Int
    let valueLength: Int

    var type: bson_type_t { bson_type_t(rawValue: UInt32(base[offset])) }

    var key: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: base + offset + 1, count: keyLength) }

    var value: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + offset + keyLength + 2, count: valueLength) }

    /// The value's first bytes as a number; only where the type says that it has so many.
    func load<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type) -> Number {
        Number(littleEndian: value.loadUnaligned(as: type))
    }

    /// Where the first field of a document begins, behind its length.
    static let firstOffset = 4

    /// Bytes of a document by what it says itself, which may be less than what there is, never more: 0 if there is none.
    static func checkedLength(of base: UnsafePointer<UInt8>, _ count: Int) -> Int {
        // A document is its length, its fields and a NUL.
        guard count >= minDocumentLength, let length = length(at: base, count), length >= minDocumentLength, length <= count
        else { return 0 }
        return length
    }

    /// Where the field after this one begins.
    var end: Int { offset + keyLength + 2 + valueLength }

    /// Whether that is its name.
    @inline(__always)
    func isNamed(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        keyLength == name.count && name.baseAddress.map { memcmp(base + offset + 1, $0, name.count) == 0 } ?? false
    }

    /// The field that begins there; nil behind the last one.
    ///
    /// - Parameter count: the `checkedLength` of the document.
    @inline(__always)
    init?(_ base: UnsafePointer<UInt8>, count: Int, offset: Int) {
        // The last byte is the document's own NUL: the shortest field before it has a type and an empty key.
        guard offset + 2 < count, base[offset] != 0 else { return nil }
        guard let terminator = memchr(base + offset + 1, 0, count - 1 - offset - 1) else { return nil }
        let keyLength = UnsafeRawPointer(terminator) - UnsafeRawPointer(base + offset + 1)
        let start = offset + keyLength + 2
        guard let valueLength = Self.valueLength(base[offset], at: base + start, count - 1 - start), start + valueLength < count
        else { return nil }
        self.base = base
        self.count = count
        self.offset = offset
        self.keyLength = keyLength
        self.valueLength = valueLength
    }

    private static let minDocumentLength = 5

    /// Bytes of a value of this type; nil where they are not there, or there is no such type.
    private static func valueLength(_ type: UInt8, at value: UnsafePointer<UInt8>, _ available: Int) -> Int? {
        let length: Int?
        switch type {
        case 0x01, 0x09, 0x11, 0x12: length = 8  // double, date, timestamp, int64
        case 0x02, 0x0D, 0x0E: length = textLength(at: value, available)  // string, code, symbol
        case 0x03, 0x04, 0x0F: length = documentLength(at: value, available)  // document, array, code with scope
        case 0x05: length = Self.length(at: value, available).flatMap { $0 < 0 ? nil : $0 + 5 }  // binary data
        case 0x06, 0x0A, 0x7F, 0xFF: length = 0  // undefined, null, the largest and the smallest key
        case 0x07: length = 12  // object id
        case 0x08: length = 1  // bool
        case 0x0B: length = patternLength(at: value, available)  // regular expression
        case 0x0C: length = textLength(at: value, available).map { $0 + 12 }  // pointer into a database
        case 0x10: length = 4  // int32
        case 0x13: length = 16  // decimal128
        default: length = nil
        }
        guard let length, length <= available else { return nil }
        return length
    }

    private static func length(at value: UnsafePointer<UInt8>, _ available: Int) -> Int? {
        available >= 4 ? Int(Int32(littleEndian: UnsafeRawPointer(value).loadUnaligned(as: Int32.self))) : nil
    }

    private static func documentLength(at value: UnsafePointer<UInt8>, _ available: Int) -> Int? {
        length(at: value, available).flatMap { $0 < minDocumentLength ? nil : $0 }
    }

    /// Text is its length, its bytes and a NUL that the length counts.
    private static func textLength(at value: UnsafePointer<UInt8>, _ available: Int) -> Int? {
        guard let length = length(at: value, available), length >= 1, length <= available - 4, value[3 + length] == 0 else { return nil }
        return 4 + length
    }

    /// A pattern and its options, each up to a NUL.
    private static func patternLength(at value: UnsafePointer<UInt8>, _ available: Int) -> Int? {
        guard let first = memchr(value, 0, available) else { return nil }
        let options = UnsafeRawPointer(first) + 1
        let rest = available - (options - UnsafeRawPointer(value))
        guard let second = memchr(options, 0, rest) else { return nil }
        return UnsafeRawPointer(second) + 1 - UnsafeRawPointer(value)
    }
}
