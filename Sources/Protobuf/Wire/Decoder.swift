internal import CProtobufC

/// Bytes to value: check the bytes, let protobuf-c unpack them into an arena, copy the C struct.
enum Decoder {
    static func decode<Value: Message>(
        _ type: Value.Type, _ bytes: UnsafeRawBufferPointer, _ limits: DecodingLimits
    ) throws(DecodingError) -> Value {
        let descriptor = Value.descriptor.pointer
        try WireScanner.check(bytes, descriptor, limits)
        return try Arena.withArena(limit: limits.maxArenaBytes) { arena throws(DecodingError) in
            Value(cMessage: try unpack(bytes, descriptor, arena))
        }
    }

    /// The C form of checked bytes, in the arena.
    static func unpack(
        _ bytes: UnsafeRawBufferPointer, _ descriptor: CMessageDescriptor, _ arena: Arena
    ) throws(DecodingError) -> UnsafeRawPointer {
        let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard let message = protobuf_c_message_unpack(descriptor, &arena.state.pointee.allocator, bytes.count, start) else {
            throw DecodingError(reason: "takes too much memory")
        }
        return UnsafeRawPointer(message)
    }
}
