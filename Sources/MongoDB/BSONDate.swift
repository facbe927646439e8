internal import Glibc

/// A moment as BSON stores it: milliseconds since 1970-01-01 00:00 UTC.
package struct BSONDate: Hashable, Comparable, Sendable {
    package var millisecondsSince1970: Int64

    package init(millisecondsSince1970: Int64) {
        self.millisecondsSince1970 = millisecondsSince1970
    }

    /// This machine's wall clock. Where several machines compare times, let the database write them (`$$NOW`).
    package static func now() -> BSONDate {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return BSONDate(millisecondsSince1970: Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000)
    }

    package static func < (left: BSONDate, right: BSONDate) -> Bool {
        left.millisecondsSince1970 < right.millisecondsSince1970
    }
}
