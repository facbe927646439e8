internal import Glibc

/// Protobuf's binary form while it is written, front to back, into memory that grows.
@usableFromInline
struct WireOutput {
    /// The caller's to free.
    private(set) var start: UnsafeMutableRawPointer
    private(set) var count = 0
    private var capacity: Int
    /// The first value that protobuf-c could not carry.
    @usableFromInline var problem: EncodingError?

    /// Holds a small message without growing.
    private static let leastCapacity = 256

    init(reserving bytes: Int) {
        capacity = max(bytes, Self.leastCapacity)
        start = Self.checked(malloc(capacity))
    }

    private static func checked(_ memory: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer {
        guard let memory else { preconditionFailure("out of memory") }
        return memory
    }

    /// Makes room for `bytes` more.
    @inline(__always) private mutating func reserve(_ bytes: Int) {
        if capacity - count < bytes { grow(by: bytes) }
    }

    @inline(never) private mutating func grow(by bytes: Int) {
        capacity = max(capacity * 2, count + bytes)
        start = Self.checked(realloc(start, capacity))
    }

    // MARK: Values

    private static let longestVarint = 10

    @usableFromInline
    mutating func append(varint value: UInt64) {
        reserve(Self.longestVarint)
        count = put(varint: value, at: count)
    }

    @usableFromInline
    mutating func append(fixed32 value: UInt32) { append(fixed: value.littleEndian) }

    @usableFromInline
    mutating func append(fixed64 value: UInt64) { append(fixed: value.littleEndian) }

    private mutating func append<Value: BitwiseCopyable>(fixed value: Value) {
        reserve(MemoryLayout<Value>.size)
        start.storeBytes(of: value, toByteOffset: count, as: Value.self)
        count += MemoryLayout<Value>.size
    }

    /// A length, and so many bytes.
    @usableFromInline
    mutating func append(delimited bytes: UnsafeRawBufferPointer) {
        reserve(Self.longestVarint + bytes.count)
        count = put(varint: UInt64(bytes.count), at: count)
        guard let source = bytes.baseAddress else { return }
        (start + count).copyMemory(from: source, byteCount: bytes.count)
        count += bytes.count
    }

    /// A length, and text, in which U+0000 is refused: protobuf-c's strings end there.
    @usableFromInline
    mutating func append(text: UnsafeRawBufferPointer, of field: StaticString) {
        if let start = text.baseAddress, memchr(start, 0, text.count) != nil {
            note(EncodingError(field: "\(field)", reason: "contains U+0000, which protobuf-c cannot carry"))
        }
        append(delimited: text)
    }

    /// Bytes that a message writes by itself.
    @usableFromInline
    mutating func append(_ message: some MessageEncoding) throws(EncodingError) {
        // The message says its size, and writes right afterwards.
        try message.serialize { size in
            reserve(size)
            defer { count += size }
            return UnsafeMutableRawBufferPointer(start: start + count, count: size)
        }
    }

    @usableFromInline
    mutating func note(_ error: EncodingError) {
        if problem == nil { problem = error }
    }

    // MARK: Messages in messages

    /// Begins something whose length is known at its end only; returns where its content begins.
    @usableFromInline
    mutating func beginDelimited() -> Int {
        reserve(1)
        count += 1
        return count
    }

    /// Writes the length of what began at `content`. One byte was left for it: what is longer than 127 bytes moves up, which
    /// costs less than measuring everything before.
    @usableFromInline
    mutating func endDelimited(from content: Int) {
        let length = count - content
        let more = Self.length(ofVarint: UInt64(length)) - 1
        if more > 0 {
            reserve(more)
            memmove(start + content + more, start + content, length)
            count += more
        }
        put(varint: UInt64(length), at: content - 1)
    }

    // MARK: Varints

    private static func length(ofVarint value: UInt64) -> Int {
        // Seven bits a byte, one byte for 0.
        (70 - (value | 1).leadingZeroBitCount) / 7
    }

    /// The room is there. Returns where it ends.
    @discardableResult
    @inline(__always)
    private func put(varint value: UInt64, at offset: Int) -> Int {
        var (rest, offset) = (value, offset)
        while rest >= 0x80 {
            start.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: offset, as: UInt8.self)
            offset += 1
            rest >>= 7
        }
        start.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: offset, as: UInt8.self)
        return offset + 1
    }
}
