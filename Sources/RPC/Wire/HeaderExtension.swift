/// The TLVs after a header: type (u8), flags (u8), length (u16, little-endian), value. See docs/wire-protocol.md.
package struct HeaderExtension: Sendable {
    package enum Kind: UInt8, Sendable {
        /// W3C trace context, as text.
        case traceparent = 1
        /// A metadata pair: length of the key (u8), key, value; both UTF-8.
        case metadata = 2
        /// Of a RESPONSE: where the time went in the server.
        case timings = 3
    }

    /// Flag of a TLV that must be understood.
    package static let critical: UInt8 = 0x01

    /// W3C trace context.
    package var traceparent: String?
    /// Pairs, in their order.
    package var metadata: [(key: String, value: String)] = []
    /// Where the time went in the server.
    package var timings: StageTimings?
    /// TLVs that were skipped: of an unknown kind, or a trace context that cannot be used.
    package var skippedCount = 0

    /// The extension of a call without any.
    package static let empty = HeaderExtension()

    package init(
        traceparent: String? = nil, metadata: [(key: String, value: String)] = [], timings: StageTimings? = nil
    ) {
        self.traceparent = traceparent
        self.metadata = metadata
        self.timings = timings
    }

    package var isEmpty: Bool { traceparent == nil && metadata.isEmpty && timings == nil }

    /// Why TLVs cannot be read.
    package enum Defect: Error, Equatable {
        /// A TLV says that it is longer than what is there.
        case cut
        /// A TLV of this kind must be understood and is not.
        case unknownCritical(UInt8)
        /// The value of this kind breaks its form.
        case malformed(Kind)
    }

    /// Longest key of a pair in bytes.
    package static let maxKeyLength = 255

    /// Reads TLVs; those that are skipped are counted.
    package init(_ bytes: UnsafeRawBufferPointer) throws(Defect) {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard rest.count >= 4 else { throw .cut }
            let tlv = UnsafeRawBufferPointer(rebasing: rest)
            let length = Int(tlv.littleEndian(at: 2, as: UInt16.self))
            guard length <= tlv.count - 4 else { throw .cut }
            try read(kind: tlv[0], flags: tlv[1], value: UnsafeRawBufferPointer(rebasing: tlv[4..<(4 + length)]))
            rest = rest.dropFirst(4 + length)
        }
    }

    private mutating func read(kind: UInt8, flags: UInt8, value: UnsafeRawBufferPointer) throws(Defect) {
        switch Kind(rawValue: kind) {
        case .traceparent:
            if Traceparent.isValid(value) {
                traceparent = String(decoding: value, as: UTF8.self)
            } else {
                skippedCount += 1
            }
        case .metadata:
            guard let keyLength = value.first, keyLength > 0, Int(keyLength) < value.count,
                let key = String(validating: value[1...Int(keyLength)], as: UTF8.self),
                let text = String(validating: value[(1 + Int(keyLength))...], as: UTF8.self)
            else { throw .malformed(.metadata) }
            metadata.append((key, text))
        case .timings:
            guard let times = StageTimings(value) else { throw .malformed(.timings) }
            timings = times
        case nil:
            guard flags & Self.critical == 0 else { throw .unknownCritical(kind) }
            skippedCount += 1
        }
    }

    /// The bytes of all TLVs, or nil where they exceed the limits: 4,096 bytes in all, 1 to 255 for a key.
    package func encoded() -> [UInt8]? {
        var bytes: [UInt8] = []
        if let traceparent { append(.traceparent, Array(traceparent.utf8), to: &bytes) }
        for (key, value) in metadata {
            guard (1...Self.maxKeyLength).contains(key.utf8.count), value.utf8.count <= FrameHeader.maxExtensionLength else { return nil }
            append(.metadata, [UInt8(key.utf8.count)] + Array(key.utf8) + Array(value.utf8), to: &bytes)
        }
        if let timings { append(.timings, timings.bytes, to: &bytes) }
        return bytes.count <= FrameHeader.maxExtensionLength ? bytes : nil
    }

    private func append(_ kind: Kind, _ value: [UInt8], to bytes: inout [UInt8]) {
        let length = UInt16(clamping: value.count)
        bytes.append(contentsOf: [kind.rawValue, 0, UInt8(truncatingIfNeeded: length), UInt8(truncatingIfNeeded: length >> 8)])
        bytes.append(contentsOf: value)
    }
}
