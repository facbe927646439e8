import MongoDB
import ProtoRuntime

extension BSONDate {
    /// The moment on the wire.
    var timestamp: WellKnown.Timestamp {
        let milliseconds = millisecondsSince1970
        // Rounded down, so that nanos are never negative.
        let seconds = milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000
        return WellKnown.Timestamp(seconds: seconds, nanos: Int32(milliseconds - seconds * 1000) * 1_000_000)
    }
}
