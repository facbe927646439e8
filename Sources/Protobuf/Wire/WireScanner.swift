internal import CProtobufC

/// Checks the bytes of a message before protobuf-c sees them: protobuf-c knows no limits, ends strings at U+0000, does not
/// look at UTF-8, and merges a repeated submessage in quadratic time.
struct WireScanner {
    private let limits: DecodingLimits
    /// Fields and elements that may still come.
    private var elementsLeft: Int

    /// Throws for the first thing in `bytes` that is not acceptable as a message of this type.
    static func check(
        _ bytes: UnsafeRawBufferPointer, _ descriptor: CMessageDescriptor, _ limits: DecodingLimits
    ) throws(DecodingError) {
        guard bytes.count <= limits.maxBytes else {
            throw DecodingError(reason: "\(bytes.count) bytes, more than \(limits.maxBytes)")
        }
        guard let start = bytes.baseAddress else { return }
        var scanner = WireScanner(limits: limits, elementsLeft: limits.maxElements)
        try scanner.checkMessage(WireReader(start, bytes.count), descriptor, depth: 1)
    }

    private mutating func checkMessage(_ whole: WireReader, _ descriptor: CMessageDescriptor, depth: Int) throws(DecodingError) {
        guard depth <= limits.maxDepth else { throw DecodingError(reason: "nested deeper than \(limits.maxDepth)") }
        var reader = whole
        var seen = SeenFields()
        while !reader.isAtEnd {
            let tag = try reader.tag()
            try countElement()
            guard let index = descriptor.indexOfField(numbered: tag.field) else {
                try reader.skip(tag.wireType)
                continue
            }
            let field = descriptor.field(index)
            do {
                try checkField(&reader, tag.wireType, field, index, &seen, depth)
            } catch {
                throw error.under(Self.name(of: field, in: whole, until: reader.position))
            }
        }
    }

    private mutating func checkField(
        _ reader: inout WireReader, _ wireType: WireType, _ field: CFieldDescriptor, _ index: Int,
        _ seen: inout SeenFields, _ depth: Int
    ) throws(DecodingError) {
        let type = field.pointee.type
        let expected = WireType(of: type)
        guard wireType == expected else {
            guard wireType == .lengthPrefixed, field.isRepeated else {
                throw DecodingError(reason: "wire type \(wireType.rawValue) where \(expected.rawValue) is expected")
            }
            return try checkPacked(try reader.lengthPrefixed(), expected)
        }
        switch type {
        case PROTOBUF_C_TYPE_STRING:
            try checkText(try stringBytes(&reader))
        case PROTOBUF_C_TYPE_BYTES:
            _ = try stringBytes(&reader)
        case PROTOBUF_C_TYPE_MESSAGE:
            if !field.isRepeated, !seen.insert(index) {
                throw DecodingError(reason: "occurs twice")
            }
            try checkMessage(try reader.lengthPrefixed(), field.message, depth: depth + 1)
        default:
            try reader.skip(wireType)
        }
    }

    private mutating func countElement() throws(DecodingError) {
        elementsLeft &-= 1
        guard elementsLeft >= 0 else { throw DecodingError(reason: "more than \(limits.maxElements) fields and elements") }
    }

    private mutating func checkPacked(_ elements: WireReader, _ wireType: WireType) throws(DecodingError) {
        var elements = elements
        while !elements.isAtEnd {
            try countElement()
            try elements.skip(wireType)
        }
    }

    private func stringBytes(_ reader: inout WireReader) throws(DecodingError) -> WireReader {
        let contents = try reader.lengthPrefixed()
        guard contents.count <= limits.maxStringBytes else {
            throw DecodingError(reason: "\(contents.count) bytes, more than \(limits.maxStringBytes)")
        }
        return contents
    }

    private func checkText(_ contents: WireReader) throws(DecodingError) {
        switch TextCheck(UnsafeRawBufferPointer(start: contents.position, count: contents.count)) {
        case .clean: break
        case .containsNUL: throw DecodingError(reason: "contains U+0000")
        case .notUTF8: throw DecodingError(reason: "is not valid UTF-8")
        }
    }

    /// Name of a field that was refused, with its index where it is repeated. Counts the elements only now: no good message
    /// pays for it.
    private static func name(
        of field: CFieldDescriptor, in whole: WireReader, until end: UnsafeRawPointer
    ) -> String {
        let name = field.name
        guard field.isRepeated else { return name }
        var reader = whole
        var count = 0
        do {
            while reader.position < end {
                let tag = try reader.tag()
                if tag.field == field.pointee.id { count += 1 }
                try reader.skip(tag.wireType)
            }
        } catch {
            // The refused element itself was cut short; it has been counted.
        }
        return "\(name)[\(max(count, 1) - 1)]"
    }
}

/// The fields that a message has had, by index.
struct SeenFields {
    private var low: UInt64 = 0
    private var high: [Int] = []

    /// False where the field was there already.
    mutating func insert(_ index: Int) -> Bool {
        guard index < 64 else {
            if high.contains(index) { return false }
            high.append(index)
            return true
        }
        let bit = UInt64(1) << UInt64(index)
        defer { low |= bit }
        return low & bit == 0
    }
}

extension CMessageDescriptor {
    /// Index of the field with this number: protoc-c lists runs of consecutive numbers.
    fileprivate func indexOfField(numbered number: UInt32) -> Int? {
        // Past the last run stands one more range, which tells where the run ends.
        for run in 0..<Int(pointee.n_field_ranges) {
            let range = pointee.field_ranges[run]
            let first = UInt32(bitPattern: range.start_value)
            guard number >= first else { return nil }
            let length = pointee.field_ranges[run + 1].orig_index - range.orig_index
            if number - first < length { return Int(range.orig_index + (number - first)) }
        }
        return nil
    }
}
