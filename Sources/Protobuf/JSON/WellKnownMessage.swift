internal import CProtobufC
internal import Glibc

/// The messages of `google.protobuf` that have a JSON form of their own.
enum WellKnownMessage {
    case timestamp(TimeFields)
    case duration(TimeFields)
    case any(AnyFields)

    init?(_ descriptor: CMessageDescriptor) {
        // Asked for every message, most of which are of another package.
        guard strncmp(descriptor.pointee.name, "google.", 7) == 0 else { return nil }
        switch descriptor.fullName {
        case "google.protobuf.Timestamp": self = .timestamp(TimeFields(descriptor))
        case "google.protobuf.Duration": self = .duration(TimeFields(descriptor))
        case "google.protobuf.Any": self = .any(AnyFields(descriptor))
        default: return nil
        }
    }

    /// `int64 seconds = 1; int32 nanos = 2`.
    struct TimeFields {
        private let secondsOffset: Int
        private let nanosOffset: Int

        init(_ descriptor: CMessageDescriptor) {
            secondsOffset = Int(descriptor.field(0).pointee.offset)
            nanosOffset = Int(descriptor.field(1).pointee.offset)
        }

        func seconds(_ message: UnsafeRawPointer) -> Int64 { message.load(fromByteOffset: secondsOffset, as: Int64.self) }
        func nanos(_ message: UnsafeRawPointer) -> Int32 { message.load(fromByteOffset: nanosOffset, as: Int32.self) }

        func store(_ time: TimeText.Parts, in message: UnsafeMutableRawPointer) {
            message.storeBytes(of: time.seconds, toByteOffset: secondsOffset, as: Int64.self)
            message.storeBytes(of: time.nanos, toByteOffset: nanosOffset, as: Int32.self)
        }
    }

    /// `string type_url = 1; bytes value = 2`.
    struct AnyFields {
        private let urlOffset: Int
        private let valueOffset: Int

        init(_ descriptor: CMessageDescriptor) {
            urlOffset = Int(descriptor.field(0).pointee.offset)
            valueOffset = Int(descriptor.field(1).pointee.offset)
        }

        func typeURL(_ message: UnsafeRawPointer) -> String {
            CValue.string(message.load(fromByteOffset: urlOffset, as: UnsafePointer<CChar>?.self))
        }

        func value(_ message: UnsafeRawPointer) -> UnsafeRawBufferPointer {
            let data = message.load(fromByteOffset: valueOffset, as: ProtobufCBinaryData.self)
            return UnsafeRawBufferPointer(start: data.data, count: data.len)
        }

        func store(url: UnsafeMutablePointer<CChar>, value: UnsafeMutableRawBufferPointer, in message: UnsafeMutableRawPointer) {
            message.storeBytes(of: url, toByteOffset: urlOffset, as: UnsafeMutablePointer<CChar>.self)
            let data = ProtobufCBinaryData(len: value.count, data: value.baseAddress?.assumingMemoryBound(to: UInt8.self))
            message.storeBytes(of: data, toByteOffset: valueOffset, as: ProtobufCBinaryData.self)
        }
    }
}
