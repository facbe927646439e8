import ProtoRuntime

extension WellKnown.Timestamp {
    /// RFC 3339 in UTC with milliseconds, as in "2026-11-23T06:10:11.123Z".
    var text: String {
        WallTime(seconds: Int(seconds), milliseconds: Int(nanos / 1_000_000)).rfc3339
    }
}

extension WellKnown.Duration {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(seconds: seconds, nanos: Int32(attoseconds / 1_000_000_000))
    }
}
