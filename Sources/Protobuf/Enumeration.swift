/// A protobuf enum. Numbers that this version does not know survive as `unrecognized`.
public protocol Enumeration: RawRepresentable, Hashable, Sendable, WireScalar where RawValue == Int32 {
    /// The value with number 0.
    init()

    /// The value with this number.
    init(rawValue: Int32)
}
