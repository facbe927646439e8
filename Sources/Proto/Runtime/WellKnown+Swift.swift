public import Protobuf

extension WellKnown.Duration {
    /// The same span; parts below a nanosecond are dropped.
    public init(_ duration: Swift.Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(seconds: seconds, nanos: Int32(attoseconds / 1_000_000_000))
    }
}

extension Swift.Duration {
    /// The same span. Any two numbers make one, so that it can be compared with a limit.
    public init(_ duration: WellKnown.Duration) {
        self = .seconds(duration.seconds) + .nanoseconds(duration.nanos)
    }
}

extension WellKnown.Timestamp {
    /// A time by its distance from 1970-01-01T00:00:00Z, as databases keep it.
    public init(millisecondsSinceEpoch: Int64) {
        // Seconds are rounded down: nanos count forwards, before 1970 too.
        let (seconds, rest) = millisecondsSinceEpoch.quotientAndRemainder(dividingBy: 1000)
        self.init(seconds: rest < 0 ? seconds - 1 : seconds, nanos: Int32(rest < 0 ? rest + 1000 : rest) * 1_000_000)
    }
}

extension WellKnown.AnyMessage {
    /// A message with the name of its type. `typeName` differs from the message's own where another package defines an equal one.
    public init<Value: Message>(packing message: Value, typeName: String = Value.messageName) throws(EncodingError) {
        self.init(typeUrl: "type.googleapis.com/\(typeName)", value: try message.serializedBytes())
    }

    /// The full name of the message's type: what follows the last slash.
    public var typeName: Substring { typeUrl.split(separator: "/").last ?? "" }

    /// The message, where its type has this name; nil where it has another.
    public func unpacked<Value: Message>(
        as type: Value.Type, typeName: String = Value.messageName
    ) throws(DecodingError) -> Value? {
        guard self.typeName == typeName else { return nil }
        return try Value(serializedBytes: value)
    }
}
