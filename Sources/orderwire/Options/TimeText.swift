import ProtoRuntime
import Protobuf

extension WellKnown.Timestamp {
    /// A moment as people write it: "2026-11-23T12:00:00Z", or how long ago it was: "2h". Nil where it is none.
    init?(text: String, now: WallTime = .now) {
        if let age = Duration(text: text) {
            let milliseconds = now.seconds * 1000 + now.milliseconds - Int(age / .milliseconds(1))
            let seconds = milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000
            self.init(seconds: Int64(seconds), nanos: Int32(milliseconds - seconds * 1000) * 1_000_000)
            return
        }
        do throws(JSONDecodingError) {
            // ProtoJSON's form of a Timestamp is RFC 3339. What would need an escape there is none.
            try self.init(jsonString: "\"\(text)\"")
        } catch {
            return nil
        }
    }
}
