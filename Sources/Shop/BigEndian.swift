extension [UInt8] {
    /// Eight bytes, the highest first.
    mutating func append(bigEndian value: Int64) {
        for shift in stride(from: 56, through: 0, by: -8) { append(UInt8(truncatingIfNeeded: value >> Int64(shift))) }
    }
}

extension Int64 {
    /// Reads what `append(bigEndian:)` wrote.
    init(bigEndianBytes bytes: ArraySlice<UInt8>) { self = bytes.reduce(Int64(0)) { $0 << 8 | Int64($1) } }
}
