extension [UInt8] {
    /// Eight bytes, the highest first.
    mutating func append(bigEndian value: Int64) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}

extension Int64 {
    /// Reads what `append(bigEndian:)` wrote.
    init(bigEndianBytes bytes: ArraySlice<UInt8>) { self = bytes.reduce(Int64(0)) { $0 << 8 | Int64($1) } }
}
