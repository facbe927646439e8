/// Where a call's time went in the server. A client asks for them with `CallOptions.onTimings`.
public struct StageTimings: Sendable, Equatable {
    /// In the order of the wire.
    private var stages = (Microseconds(), Microseconds(), Microseconds(), Microseconds(), Microseconds())

    public init() {}

    /// From arrival until a worker began with the call.
    public var queued: Duration {
        get { stages.0.duration }
        set { stages.0.duration = newValue }
    }

    /// Decoding the request.
    public var decoded: Duration {
        get { stages.1.duration }
        set { stages.1.duration = newValue }
    }

    /// In the handler, the database included; decoding and encoding excluded.
    public var handler: Duration {
        get { stages.2.duration }
        set { stages.2.duration = newValue }
    }

    /// Of the handler's time, what it waited for its database.
    public var database: Duration {
        get { stages.3.duration }
        set { stages.3.duration = newValue }
    }

    /// Encoding the response.
    public var encoded: Duration {
        get { stages.4.duration }
        set { stages.4.duration = newValue }
    }

    public static func == (left: StageTimings, right: StageTimings) -> Bool { left.stages == right.stages }

    /// A time as it goes over the wire: whole, and at most the largest number of 32 bits.
    private struct Microseconds: Equatable, BitwiseCopyable {
        var count: UInt32 = 0

        var duration: Duration {
            get { .microseconds(Int64(count)) }
            set { count = UInt32(clamping: newValue.wholeMicroseconds) }
        }
    }
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
        func stage(_ index: Int) -> Microseconds { Microseconds(count: value.littleEndian(at: index * 4)) }
        stages = (stage(0), stage(1), stage(2), stage(3), stage(4))
    }

    package var bytes: [UInt8] {
        [stages.0, stages.1, stages.2, stages.3, stages.4].flatMap { stage in
            withUnsafeBytes(of: stage.count.littleEndian) { Array($0) }
        }
    }
}
