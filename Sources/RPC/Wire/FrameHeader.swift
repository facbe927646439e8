/// What a frame is for (docs/wire-protocol.md, "Frame types").
package enum FrameType: UInt8, Sendable, CaseIterable {
    case hello = 1
    case helloAck = 2
    case request = 3
    case response = 4
    case cancel = 5
    case ping = 6
    case pong = 7
    case drain = 8
    case bye = 9
    case protocolError = 10
    case event = 11
    case eventHeartbeat = 12
}

/// The first 32 bytes of every message: see docs/wire-protocol.md, "Header". All numbers are little-endian.
package struct FrameHeader: Sendable, Equatable {
    package var type: FrameType
    /// Bits 0-7 may be ignored by who does not know them; bits 8-15 must be understood.
    package var flags: UInt16 = 0
    /// Bytes of TLVs after these 32.
    package var extensionLength: UInt16 = 0
    /// Bytes 8-15: call id; for an event its sequence.
    package var id: UInt64 = 0
    /// Bytes 16-23: request: sent at; response: epoch and microseconds queued; event: the sequence before this one.
    package var word16: UInt64 = 0
    /// Bytes 24-27: request: method id; response: microseconds served; event: epoch.
    package var word24: UInt32 = 0
    /// Bytes 28-31: request: budget; response: status and disposition.
    package var word28: UInt32 = 0

    package init(type: FrameType) { self.type = type }

    /// Bytes of a header without TLVs.
    package static let size = 32
    /// Most bytes of TLVs.
    package static let maxExtensionLength = 4096
    /// The bytes 5A D1, read as a little-endian number.
    package static let magic: UInt16 = 0xD15A
    /// The only version there is.
    package static let version: UInt8 = 1
    /// Flag of a REQUEST, ignorable: its RESPONSE shall carry stage timings.
    package static let wantsTimings: UInt16 = 1 << 0
    /// Flags that this side understands among those that must be understood: none.
    package static let understoodFlags: UInt16 = 0x00FF
}

// MARK: What the words mean

extension FrameHeader {
    /// A call. `sentAt` in microseconds of the sender's monotonic clock; `budget` in microseconds, 0 for the method's default.
    package static func request(callID: UInt64, method: UInt32, sentAt: UInt64, budget: UInt32, extensionLength: UInt16) -> FrameHeader {
        var header = FrameHeader(type: .request)
        header.extensionLength = extensionLength
        header.id = callID
        header.word16 = sentAt
        header.word24 = method
        header.word28 = budget
        return header
    }

    /// An answer. Times in microseconds.
    package static func response(
        callID: UInt64, epoch: UInt32, queued: UInt32, served: UInt32, status: StatusCode, disposition: Disposition
    ) -> FrameHeader {
        var header = FrameHeader(type: .response)
        header.id = callID
        header.word16 = UInt64(epoch) | UInt64(queued) << 32
        header.word24 = served
        header.word28 = UInt32(status.rawValue) | UInt32(disposition.rawValue) << 8
        return header
    }

    /// An event of a member's channel; `previous` is the sequence of the one sent to this member before, 0 for the first.
    package static func event(sequence: UInt64, previous: UInt64, epoch: UInt32) -> FrameHeader {
        var header = FrameHeader(type: .event)
        header.id = sequence
        header.word16 = previous
        header.word24 = epoch
        return header
    }

    /// Nothing has happened in a member's channel since the event `last`, 0 where there was none.
    package static func eventHeartbeat(last: UInt64, epoch: UInt32) -> FrameHeader {
        var header = event(sequence: last, previous: last, epoch: epoch)
        header.type = .eventHeartbeat
        return header
    }

    /// Request: microseconds of the sender's monotonic clock.
    package var sentAt: UInt64 { word16 }
    /// Request: id of the method.
    package var method: UInt32 { word24 }
    /// Request: microseconds the call may take; 0 for the method's default.
    package var budget: UInt32 { word28 }
    /// Response: epoch of the server.
    package var responseEpoch: UInt32 { UInt32(truncatingIfNeeded: word16) }
    /// Response: microseconds from arrival to the start of the handler.
    package var queued: UInt32 { UInt32(truncatingIfNeeded: word16 >> 32) }
    /// Response: microseconds in the handler.
    package var served: UInt32 { word24 }
    /// Response: status; a number that this side does not know is UNKNOWN.
    package var status: StatusCode { StatusCode(rawValue: UInt8(truncatingIfNeeded: word28)) ?? .unknown }
    /// Response: disposition; a number that this side does not know is MAYBE.
    package var disposition: Disposition { Disposition(rawValue: UInt8(truncatingIfNeeded: word28 >> 8)) ?? .maybe }
    /// Event: the sequence of the event before this one.
    package var previousSequence: UInt64 { word16 }
}

// MARK: Bytes

extension FrameHeader {
    /// Why bytes are no header that this side can deal with.
    package enum Defect: Error, Equatable {
        /// Fewer than 32 bytes.
        case tooShort
        /// Other first bytes: not this protocol.
        case badMagic
        /// A version that this side does not speak.
        case unsupportedVersion(UInt8)
        /// A type that this side does not know.
        case unknownType(UInt8)
        /// A flag that must be understood and is not.
        case unknownCriticalFlags(UInt16)
        /// More TLV bytes than allowed, or more than there are.
        case badExtensionLength(UInt16)

        /// Whether the peer speaks this protocol at all, and can be told what is wrong.
        package var isAnswerable: Bool { self != .tooShort && self != .badMagic }
    }

    /// Reads a header from the start of `bytes`, which may hold more than its TLVs.
    package init(_ bytes: UnsafeRawBufferPointer) throws(Defect) {
        guard bytes.count >= Self.size else { throw .tooShort }
        guard bytes.littleEndian(at: 0, as: UInt16.self) == Self.magic else { throw .badMagic }
        guard bytes[2] == Self.version else { throw .unsupportedVersion(bytes[2]) }
        guard let type = FrameType(rawValue: bytes[3]) else { throw .unknownType(bytes[3]) }
        self.type = type
        flags = bytes.littleEndian(at: 4)
        extensionLength = bytes.littleEndian(at: 6)
        id = bytes.littleEndian(at: 8)
        word16 = bytes.littleEndian(at: 16)
        word24 = bytes.littleEndian(at: 24)
        word28 = bytes.littleEndian(at: 28)
        guard flags & ~Self.understoodFlags == 0 else { throw .unknownCriticalFlags(flags & ~Self.understoodFlags) }
        guard extensionLength <= Self.maxExtensionLength, Int(extensionLength) <= bytes.count - Self.size else {
            throw .badExtensionLength(extensionLength)
        }
    }

    /// Writes the 32 bytes to the start of `bytes`.
    package func write(to bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count >= Self.size, "no room for a header")
        bytes.storeLittleEndian(Self.magic, at: 0)
        bytes[2] = Self.version
        bytes[3] = type.rawValue
        bytes.storeLittleEndian(flags, at: 4)
        bytes.storeLittleEndian(extensionLength, at: 6)
        bytes.storeLittleEndian(id, at: 8)
        bytes.storeLittleEndian(word16, at: 16)
        bytes.storeLittleEndian(word24, at: 24)
        bytes.storeLittleEndian(word28, at: 28)
    }

    /// The 32 bytes.
    package var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.size) { buffer, count in
            write(to: UnsafeMutableRawBufferPointer(buffer))
            count = Self.size
        }
    }
}

extension UnsafeRawBufferPointer {
    package func littleEndian<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as: Number.Type = Number.self) -> Number {
        Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
}

extension UnsafeMutableRawBufferPointer {
    package func storeLittleEndian<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number, at offset: Int) {
        storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self)
    }
}
