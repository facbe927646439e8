internal import CProtobufC

/// protobuf-c's description of a message: what drives the checks before decoding, and ProtoJSON.
public struct MessageDescriptor: @unchecked Sendable {
    // protoc-c emits descriptors as constants: nobody ever writes to one.
    let pointer: CMessageDescriptor

    /// Learns the descriptor from protoc-c's `..._init` function for the message. (The descriptor itself is a C constant,
    /// whose address Swift does not reveal.)
    public init<CMessage>(_ initialize: (UnsafeMutablePointer<CMessage>) -> Void) {
        pointer = withUnsafeTemporaryAllocation(of: CMessage.self, capacity: 1) { storage in
            let message = storage.baseAddress!
            initialize(message)
            return UnsafeRawPointer(message).load(as: ProtobufCMessage.self).descriptor
        }
    }

    init(_ pointer: CMessageDescriptor) {
        self.pointer = pointer
    }
}

extension MessageDescriptor {
    /// Decodes bytes of a message that exists in C only, as protoc's descriptions of .proto files do, for `body` to look at.
    package func withDecoded<CMessage, Result>(
        _ bytes: [UInt8], as type: CMessage.Type, limits: DecodingLimits = .default, _ body: (UnsafePointer<CMessage>) -> Result
    ) throws(DecodingError) -> Result {
        try bytes.span.bytes.withUnsafeBytes { buffer throws(DecodingError) in
            try WireScanner.check(buffer, pointer, limits)
            return try Arena.withArena(limit: limits.maxArenaBytes) { arena throws(DecodingError) in
                body(try Decoder.unpack(buffer, pointer, arena).assumingMemoryBound(to: CMessage.self))
            }
        }
    }
}
