/// The 16 bytes that name a server session (its `lsid`), fit to be stored and killed by later.
package struct SessionID: Hashable, Sendable {
    package static let byteCount = 16

    package let bytes: [UInt8]

    /// Nil unless there are exactly 16 bytes.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }
}
