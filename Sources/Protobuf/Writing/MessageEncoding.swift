/// What can be sent where a message of type `Encoded` is asked for: the message itself, or its bytes, written by hand.
public protocol MessageEncoding<Encoded>: Sendable {
    /// The message that the receiver decodes.
    associatedtype Encoded: Message

    /// Writes protobuf's binary form into the memory that `allocate` returns for exactly the given number of bytes.
    func serialize(into allocate: (Int) -> UnsafeMutableRawBufferPointer) throws(EncodingError)
}
