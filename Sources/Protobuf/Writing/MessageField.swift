/// A field of the message `Body`, for `MessageWriter`: its number, and how values of type `Value` are written. Generated code
/// has one for each field but for maps and repeated numbers.
public struct MessageField<Body: Message, Value>: Sendable {
    /// How a value lies in the bytes.
    public enum Form: UInt8, Sendable {
        /// Seven bits a byte.
        case varint
        /// The same, with the sign in the lowest bit.
        case zigZag
        /// Eight bytes.
        case fixed64
        /// Four bytes.
        case fixed32
        /// A length, and so many bytes.
        case delimited
    }

    @usableFromInline let number: UInt32
    /// Name in the .proto file.
    @usableFromInline let name: StaticString
    @usableFromInline let form: Form
    /// Whether a default value, such as "", is written like any other: in oneofs and lists.
    @usableFromInline let writesDefault: Bool

    /// For generated code.
    public init(_ number: UInt32, _ name: StaticString, _ form: Form, writesDefault: Bool = false) {
        self.number = number
        self.name = name
        self.form = form
        self.writesDefault = writesDefault
    }

    /// What precedes each value: the number, and the wire type.
    @usableFromInline var tag: UInt64 {
        let wireType: UInt64 = switch form {
        case .varint, .zigZag: 0
        case .fixed64: 1
        case .delimited: 2
        case .fixed32: 5
        }
        return UInt64(number) << 3 | wireType
    }
}

/// A number, a Bool or an enum.
public protocol WireScalar {
    /// The bits that are written: sign-extended, where the type has a sign.
    var wireBits: UInt64 { get }
    /// Whether it is what a field holds that is not there.
    var isWireDefault: Bool { get }
}

extension WireScalar where Self: FixedWidthInteger {
    public var wireBits: UInt64 { UInt64(truncatingIfNeeded: self) }
    public var isWireDefault: Bool { self == 0 }
}

extension Int32: WireScalar {}
extension Int64: WireScalar {}
extension UInt32: WireScalar {}
extension UInt64: WireScalar {}

extension Bool: WireScalar {
    public var wireBits: UInt64 { self ? 1 : 0 }
    public var isWireDefault: Bool { !self }
}

// protobuf-c takes -0.0 for the default.
extension Float: WireScalar {
    public var wireBits: UInt64 { UInt64(bitPattern) }
    public var isWireDefault: Bool { self == 0 }
}

extension Double: WireScalar {
    public var wireBits: UInt64 { bitPattern }
    public var isWireDefault: Bool { self == 0 }
}

extension Enumeration {
    public var wireBits: UInt64 { rawValue.wireBits }
    public var isWireDefault: Bool { rawValue == 0 }
}
