/// A protobuf message as a Swift value. Generated structs conform to it.
///
/// Bytes go through libprotobuf-c in both directions: the last three requirements move a value between Swift and the C
/// struct that protoc-c generated for it. Only generated code implements them, and only this module calls them.
public protocol Message: MessageEncoding, Hashable where Encoded == Self {
    /// The message with every field at its default.
    init()

    /// Full protobuf name, as in `orderwire.catalog.v1.Product`.
    static var messageName: String { get }

    /// protobuf-c's descriptor of the C struct.
    static var descriptor: MessageDescriptor { get }

    /// Copies a C struct of this message's type.
    init(cMessage: UnsafeRawPointer)

    /// Initializes the C struct at `cMessage` and copies all fields into it; what it points to lies in the arena.
    func store(into cMessage: UnsafeMutableRawPointer, arena: Arena) throws(EncodingError)
}

extension Message {
    /// Decodes a message from protobuf's binary form.
    public init(serializedBytes bytes: UnsafeRawBufferPointer, limits: DecodingLimits = .default) throws(DecodingError) {
        self = try Decoder.decode(Self.self, bytes, limits)
    }

    /// Decodes a message from protobuf's binary form.
    public init(serializedBytes bytes: [UInt8], limits: DecodingLimits = .default) throws(DecodingError) {
        self = try bytes.span.bytes.withUnsafeBytes { buffer throws(DecodingError) in
            try Decoder.decode(Self.self, buffer, limits)
        }
    }

    /// Encodes the message in protobuf's binary form.
    public func serializedBytes() throws(EncodingError) -> [UInt8] {
        try Arena.withArena(limit: .max) { arena throws(EncodingError) in
            let packed = try PackedMessage(self, arena)
            // An array without elements is one object for the whole process, which the initializer below writes its count into.
            guard packed.size > 0 else { return [] }
            return [UInt8](unsafeUninitializedCapacity: packed.size) { buffer, count in
                packed.write(to: UnsafeMutableRawBufferPointer(buffer))
                count = packed.size
            }
        }
    }

    /// Encodes the message straight into the memory that `allocate` returns for exactly the given number of bytes.
    public func serialize(into allocate: (Int) -> UnsafeMutableRawBufferPointer) throws(EncodingError) {
        try Arena.withArena(limit: .max) { arena throws(EncodingError) in
            let packed = try PackedMessage(self, arena)
            packed.write(to: allocate(packed.size))
        }
    }
}
