internal import CProtobufC

/// The C form of a message, in an arena, and its size on the wire.
struct PackedMessage {
    private let message: UnsafePointer<ProtobufCMessage>
    let size: Int

    init(_ value: some Message, _ arena: Arena) throws(EncodingError) {
        self.init(try Self.cMessage(value, arena))
    }

    /// A C struct that lies in an arena.
    init(_ message: UnsafePointer<ProtobufCMessage>) {
        self.message = message
        size = protobuf_c_message_get_packed_size(message)
    }

    func write(to buffer: UnsafeMutableRawBufferPointer) {
        precondition(buffer.count >= size, "the buffer is smaller than the message")
        guard let start = buffer.baseAddress else { return }  // an empty message
        protobuf_c_message_pack(message, start.assumingMemoryBound(to: UInt8.self))
    }

    /// Copies a value into a C struct in the arena.
    static func cMessage<Value: Message>(
        _ value: Value, _ arena: Arena
    ) throws(EncodingError) -> UnsafePointer<ProtobufCMessage> {
        let memory = arena.takeUnlimited(Value.descriptor.pointer.pointee.sizeof_message)
        try value.store(into: memory, arena: arena)
        return UnsafePointer(memory.assumingMemoryBound(to: ProtobufCMessage.self))
    }
}
