internal import CProtobufC

/// How a value lies on the wire.
enum WireType: UInt8 {
    case varint = 0
    case fixed64 = 1
    case lengthPrefixed = 2
    case fixed32 = 5

    /// What protobuf prescribes for a type.
    init(of type: ProtobufCType) {
        switch type {
        case PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_FLOAT: self = .fixed32
        case PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_DOUBLE: self = .fixed64
        case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_MESSAGE: self = .lengthPrefixed
        default: self = .varint
        }
    }
}

/// Walks over wire bytes and never leaves them.
struct WireReader {
    /// The next byte.
    private(set) var position: UnsafeRawPointer
    private let end: UnsafeRawPointer

    init(_ start: UnsafeRawPointer, _ count: Int) {
        position = start
        end = start + count
    }

    var isAtEnd: Bool { position >= end }
    var count: Int { end - position }

    /// Reads a field's number and wire type.
    mutating func tag() throws(DecodingError) -> (field: UInt32, wireType: WireType) {
        let tag = try varint(maxBytes: 5)
        guard tag <= UInt64(UInt32.max) else { throw DecodingError(reason: "a tag of more than 32 bits") }
        let field = UInt32(truncatingIfNeeded: tag >> 3)
        guard field > 0 else { throw DecodingError(reason: "field number 0") }
        guard let wireType = WireType(rawValue: UInt8(truncatingIfNeeded: tag & 7)) else {
            throw DecodingError(reason: "field number \(field) has wire type \(tag & 7)")
        }
        return (field, wireType)
    }

    /// Passes over a value.
    mutating func skip(_ wireType: WireType) throws(DecodingError) {
        switch wireType {
        case .varint: _ = try varint(maxBytes: 10)
        case .fixed64: try advance(8)
        case .fixed32: try advance(4)
        case .lengthPrefixed: _ = try lengthPrefixed()
        }
    }

    /// Passes over a length and as many bytes, and returns these.
    mutating func lengthPrefixed() throws(DecodingError) -> WireReader {
        let length = try varint(maxBytes: 5)
        guard length <= UInt64(count) else {
            throw DecodingError(reason: "a length of \(length) where \(count) bytes are left")
        }
        let contents = WireReader(position, Int(length))
        position += Int(length)
        return contents
    }

    private mutating func advance(_ bytes: Int) throws(DecodingError) {
        guard bytes <= count else { throw DecodingError(reason: "ends inside a value") }
        position += bytes
    }

    private mutating func varint(maxBytes: Int) throws(DecodingError) -> UInt64 {
        // Most tags and lengths are one byte.
        if position < end, case let byte = position.load(as: UInt8.self), byte < 0x80 {
            position += 1
            return UInt64(byte)
        }
        return try longVarint(maxBytes: maxBytes)
    }

    private mutating func longVarint(maxBytes: Int) throws(DecodingError) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<maxBytes {
            guard position < end else { throw DecodingError(reason: "ends inside a value") }
            let byte = position.load(as: UInt8.self)
            position += 1
            value |= UInt64(byte & 0x7F) << UInt64(7 * index)
            if byte < 0x80 {
                guard index < 9 || byte <= 1 else { throw DecodingError(reason: "a varint of more than 64 bits") }
                return value
            }
        }
        throw DecodingError(reason: "a varint of more than \(maxBytes) bytes")
    }
}
