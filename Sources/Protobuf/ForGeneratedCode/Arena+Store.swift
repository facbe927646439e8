internal import Glibc

// What generated code calls to turn Swift values into what C structs hold.
extension Arena {
    /// A C string with the text of `value`. Refuses U+0000, where a C string would end.
    public func string(_ value: String, _ field: StaticString) throws(EncodingError) -> UnsafeMutablePointer<CChar> {
        do {
            return try string(value)
        } catch {
            throw error.under("\(field)")
        }
    }

    /// A C string with the text of `value`. Refuses U+0000, where a C string would end.
    public func string(_ value: String) throws(EncodingError) -> UnsafeMutablePointer<CChar> {
        var value = value
        let copy = value.withUTF8 { utf8 -> UnsafeMutablePointer<CChar>? in
            let memory = takeUnlimited(utf8.count + 1)
            if let source = utf8.baseAddress, utf8.count > 0 {
                if memchr(source, 0, utf8.count) != nil { return nil }
                memory.copyMemory(from: source, byteCount: utf8.count)
            }
            memory.storeBytes(of: 0, toByteOffset: utf8.count, as: UInt8.self)
            return memory.assumingMemoryBound(to: CChar.self)
        }
        guard let copy else { throw EncodingError(reason: "contains U+0000, which protobuf-c cannot carry") }
        return copy
    }

    /// A copy of `value`.
    public func bytes(_ value: [UInt8]) -> (len: Int, data: UnsafeMutablePointer<UInt8>?) {
        guard !value.isEmpty else { return (0, nil) }
        let memory = takeUnlimited(value.count)
        value.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        return (value.count, memory.assumingMemoryBound(to: UInt8.self))
    }

    /// The C form of a submessage; nil where it is not set.
    @inlinable
    public func message<Value: Message, CMessage>(
        _ value: Value?, _ field: StaticString
    ) throws(EncodingError) -> UnsafeMutablePointer<CMessage>? {
        guard let value else { return nil }
        do {
            return try message(value)
        } catch {
            throw error.under("\(field)")
        }
    }

    /// The C form of a message.
    @inlinable
    public func message<Value: Message, CMessage>(_ value: Value) throws(EncodingError) -> UnsafeMutablePointer<CMessage> {
        let memory = takeUnlimited(MemoryLayout<CMessage>.size)
        try value.store(into: memory, arena: self)
        return memory.assumingMemoryBound(to: CMessage.self)
    }

    /// A C array of converted values; nil where there are none.
    @inlinable
    public func array<Value, CValue>(
        _ values: [Value], _ field: StaticString, _ convert: (Value) throws(EncodingError) -> CValue
    ) throws(EncodingError) -> UnsafeMutablePointer<CValue>? {
        guard !values.isEmpty else { return nil }
        let memory = takeUnlimited(values.count * MemoryLayout<CValue>.stride).assumingMemoryBound(to: CValue.self)
        for index in values.indices {
            do throws(EncodingError) {
                (memory + index).initialize(to: try convert(values[index]))
            } catch {
                throw error.under("\(field)[\(index)]")
            }
        }
        return memory
    }

    /// A C array of pointers to map entries, by ascending key, so that equal maps have equal bytes.
    @inlinable
    public func map<Key, Value, CEntry>(
        _ map: [Key: Value], _ field: StaticString, by areInOrder: (Key, Key) -> Bool,
        _ fill: (UnsafeMutablePointer<CEntry>, Key, Value) throws(EncodingError) -> Void
    ) throws(EncodingError) -> UnsafeMutablePointer<UnsafeMutablePointer<CEntry>?>? {
        let sorted = map.sorted { areInOrder($0.key, $1.key) }
        guard !sorted.isEmpty else { return nil }
        let entries = takeUnlimited(sorted.count * MemoryLayout<UnsafeMutablePointer<CEntry>?>.stride)
            .assumingMemoryBound(to: UnsafeMutablePointer<CEntry>?.self)
        for (index, element) in sorted.enumerated() {
            let entry = takeUnlimited(MemoryLayout<CEntry>.size).assumingMemoryBound(to: CEntry.self)
            do throws(EncodingError) {
                try fill(entry, element.key, element.value)
            } catch {
                throw error.under("\(field)[\(element.key)]")
            }
            (entries + index).initialize(to: entry)
        }
        return entries
    }
}
