/// Where a call's time went in the server. A client asks for them with `CallOptions.onTimings`.
public struct StageTimings: Sendable, Equatable {
    /// From arrival until a worker began with the call.
    public var queued = Duration.zero
    /// Decoding the request.
    public var decoded = Duration.zero
    /// In the handler, the database included; decoding and encoding excluded.
    public var handler = Duration.zero
    /// Of the handler's time, what it waited for its database.
    public var database = Duration.zero
    /// Encoding the response.
    public var encoded = Duration.zero

    public init() {}
}

/// What a client knows of a call's time after it has ended.
public struct CallTimings: Sendable, Equatable {
    /// From the sending of the last try to its answer, as the client measured it.
    public let roundTrip: Duration
    /// What the server says of the last try; nil where it does not tell, or did not answer.
    public let server: StageTimings?
    /// How often the call was sent.
    public let attempts: Int
    /// Where the last try went.
    public let endpoint: String

    package init(roundTrip: Duration, server: StageTimings?, attempts: Int, endpoint: String) {
        self.roundTrip = roundTrip
        self.server = server
        self.attempts = attempts
        self.endpoint = endpoint
    }
}

/// On the wire: five numbers of 32 bits, microseconds, in the order of the fields (docs/wire-protocol.md, "TLVs").
extension StageTimings {
    package static let encodedLength = 20

    package init?(_ value: UnsafeRawBufferPointer) {
        guard value.count == Self.encodedLength else { return nil }
        func microseconds(_ index: Int) -> Duration {
            .microseconds(Int64(value.littleEndian(at: index * 4, as: UInt32.self)))
        }
        (queued, decoded, handler, database, encoded) =
            (microseconds(0), microseconds(1), microseconds(2), microseconds(3), microseconds(4))
    }

    package var bytes: [UInt8] {
        [queued, decoded, handler, database, encoded].flatMap { duration in
            withUnsafeBytes(of: UInt32(clamping: duration.wholeMicroseconds).littleEndian) { Array($0) }
        }
    }
}
