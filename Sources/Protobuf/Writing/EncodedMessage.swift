internal import Glibc

/// A message in protobuf's binary form that never was a Swift value: written field by field from where the data lies.
///
///     EncodedMessage<Catalog.Product> { product in
///         product.append(.id, row.utf8("_id"))
///         product.append(.price) { $0.append(.currencyCode, "USD") }
///     }
///
/// The bytes are those that the message's `serializedBytes()` would be. Cheap to copy, and safe to share.
public struct EncodedMessage<Encoded: Message>: MessageEncoding {
    private let storage: Storage

    /// Writes a message. A value that protobuf-c could not carry shows when the message is serialized.
    ///
    /// - Parameter bytes: what the message will need, if known; it grows by itself otherwise.
    public init<Failure: Error>(
        reserving bytes: Int = 0, _ write: (inout MessageWriter<Encoded>) throws(Failure) -> Void
    ) throws(Failure) {
        var output = WireOutput(reserving: bytes)
        do throws(Failure) {
            try withUnsafeMutablePointer(to: &output) { (output) throws(Failure) in
                var writer = MessageWriter<Encoded>(output)
                try write(&writer)
            }
        } catch {
            free(output.start)
            throw error
        }
        storage = Storage(output)
    }

    /// Bytes of the message.
    public var byteCount: Int { storage.output.count }

    public func serialize(into allocate: (Int) -> UnsafeMutableRawBufferPointer) throws(EncodingError) {
        if let problem = storage.output.problem { throw problem }
        let memory = allocate(storage.output.count)
        precondition(memory.count >= storage.output.count, "the buffer is smaller than the message")
        guard let start = memory.baseAddress else { return }  // an empty message
        start.copyMemory(from: storage.output.start, byteCount: storage.output.count)
    }

    /// Owns the bytes.
    private final class Storage: Sendable {
        /// Nobody writes to what it points to.
        nonisolated(unsafe) let output: WireOutput

        init(_ output: WireOutput) { self.output = output }

        deinit { free(output.start) }
    }
}
