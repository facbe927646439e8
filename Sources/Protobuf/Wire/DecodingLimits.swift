/// What the decoder refuses to take in. Each limit bounds memory or time that a hostile message could cost.
public struct DecodingLimits: Sendable, Hashable {
    /// Largest message, in bytes.
    public var maxBytes: Int
    /// Most fields and elements in all, at every depth: an empty submessage is 2 bytes on the wire and about 60 times that in
    /// memory, so bytes alone bound nothing.
    public var maxElements: Int
    /// Deepest nesting; the outermost message has depth 1. protobuf-c recurses without a limit of its own.
    public var maxDepth: Int
    /// Longest string or bytes field, in bytes.
    public var maxStringBytes: Int
    /// Most memory that the C form of the message may take, in bytes.
    public var maxArenaBytes: Int

    /// Limits with the given differences from the default.
    public init(
        maxBytes: Int = 8 << 20,  // the runtime's largest payload
        maxElements: Int = 50_000,  // 1,000 products are 14,000; 10,000 acknowledged numbers fit as well
        maxDepth: Int = 32,  // ours go to 4
        maxStringBytes: Int = 8 << 20,  // a field's own limit is the service's business
        maxArenaBytes: Int = 24 << 20  // maxElements of the largest message of ours, and maxBytes
    ) {
        self.maxBytes = maxBytes
        self.maxElements = maxElements
        self.maxDepth = maxDepth
        self.maxStringBytes = maxStringBytes
        self.maxArenaBytes = maxArenaBytes
    }

    /// What a server takes from a stranger.
    public static let `default` = DecodingLimits()
}
