public import Protobuf

/// Whether a method may be carried out twice: protobuf's `option idempotency_level`.
public enum Idempotency: Sendable {
    /// Nothing is known: never repeat a call that may have run.
    case unknown
    /// It changes nothing.
    case noSideEffects
    /// Carried out twice, it has the effect of once.
    case idempotent

    /// Whether a call that may have run can be sent again.
    public var allowsRepetition: Bool { self != .unknown }
}

/// Names a method and the types of its messages. Generated from a .proto file.
public struct MethodDescriptor<Request: Message, Response: Message>: Sendable {
    /// Full name, as in "orderwire.catalog.v1.CatalogService/ListProducts".
    public let fullName: String
    /// The name on the wire: `MethodID.hash(of: fullName)`.
    public let id: UInt32
    /// Whether a call may be repeated.
    public let idempotency: Idempotency

    public init(_ fullName: String, idempotency: Idempotency) {
        self.fullName = fullName
        self.id = MethodID.hash(of: fullName)
        self.idempotency = idempotency
    }
}

/// Methods have 32-bit names on the wire.
package enum MethodID {
    /// FNV-1a, 32 bits (RFC 9923), of the UTF-8 bytes of a method's full name.
    package static func hash(of fullName: String) -> UInt32 {
        fullName.utf8.reduce(0x811C_9DC5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    }
}
