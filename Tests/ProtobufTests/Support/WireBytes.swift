/// Wire bytes made by hand, good and bad ones.
enum WireBytes {
    static func varint(_ value: UInt64) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        repeat {
            bytes.append(UInt8(rest & 0x7F) | (rest > 0x7F ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return bytes
    }

    static func tag(_ field: UInt64, _ wireType: UInt64) -> [UInt8] { varint(field << 3 | wireType) }

    static func bytes(_ field: UInt64, _ contents: [UInt8]) -> [UInt8] {
        tag(field, 2) + varint(UInt64(contents.count)) + contents
    }

    static func text(_ field: UInt64, _ text: String) -> [UInt8] { bytes(field, Array(text.utf8)) }
    static func number(_ field: UInt64, _ value: UInt64) -> [UInt8] { tag(field, 0) + varint(value) }
}
