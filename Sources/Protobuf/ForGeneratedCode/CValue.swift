/// What generated code calls to read Swift values out of C structs.
public enum CValue {
    /// The text of a C string.
    public static func string(_ pointer: UnsafePointer<CChar>?) -> String {
        pointer.map { String(cString: $0) } ?? ""
    }

    /// A copy of C bytes.
    public static func bytes(_ data: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
        Array(UnsafeBufferPointer(start: data, count: count))
    }

    /// A submessage; nil where it is not set.
    @inlinable
    public static func message<Value: Message, CMessage>(_ pointer: UnsafeMutablePointer<CMessage>?) -> Value? {
        pointer.map { Value(cMessage: UnsafeRawPointer($0)) }
    }

    /// A C array with its elements converted.
    @inlinable
    public static func array<CElement, Value>(
        _ elements: UnsafeMutablePointer<CElement>?, _ count: Int, _ convert: (CElement) -> Value
    ) -> [Value] {
        UnsafeBufferPointer(start: elements, count: count).map(convert)
    }

    /// The entries of a map; of equal keys the last one counts.
    @inlinable
    public static func map<CEntry, Key, Value>(
        _ entries: UnsafeMutablePointer<UnsafeMutablePointer<CEntry>?>?, _ count: Int,
        _ convert: (CEntry) -> (Key, Value)
    ) -> [Key: Value] {
        var map = [Key: Value](minimumCapacity: count)
        for case let entry? in UnsafeBufferPointer(start: entries, count: count) {
            let (key, value) = convert(entry.pointee)
            map[key] = value
        }
        return map
    }
}
