import Glibc

/// A point in time on this machine's monotonic clock, in nanoseconds. Steps of the wall clock do not move it.
public struct MonotonicTime: Sendable, Comparable, Hashable {
    /// Nanoseconds since the machine started, roughly.
    public var nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// This moment.
    public static var now: MonotonicTime {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
    }

    /// Whole microseconds: the unit of the wire.
    public var microseconds: UInt64 { nanoseconds / 1000 }

    public static func < (left: MonotonicTime, right: MonotonicTime) -> Bool { left.nanoseconds < right.nanoseconds }

    /// A later point. Stays at the end of time where the sum does not fit.
    public func advanced(byMicroseconds microseconds: UInt64) -> MonotonicTime {
        let (product, overflow) = microseconds.multipliedReportingOverflow(by: 1000)
        let (sum, carry) = nanoseconds.addingReportingOverflow(product)
        return MonotonicTime(nanoseconds: overflow || carry ? .max : sum)
    }

    /// A later point; `duration` below zero counts as zero.
    public func advanced(by duration: Duration) -> MonotonicTime {
        advanced(byMicroseconds: duration.wholeMicroseconds)
    }

    /// Microseconds from `earlier` to this point; 0 where `earlier` is the later one.
    public func microseconds(since earlier: MonotonicTime) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? (nanoseconds - earlier.nanoseconds) / 1000 : 0
    }
}

/// When a call's time is over.
public struct Deadline: Sendable, Hashable, Comparable {
    /// The moment.
    public let time: MonotonicTime

    public init(_ time: MonotonicTime) { self.time = time }

    /// The moment `duration` from now.
    public static func after(_ duration: Duration) -> Deadline { Deadline(MonotonicTime.now.advanced(by: duration)) }

    /// What is left; zero once it has passed.
    public var remaining: Duration { .microseconds(Int64(clamping: time.microseconds(since: .now))) }

    /// Whether the time is over.
    public var hasPassed: Bool { MonotonicTime.now >= time }

    public static func < (left: Deadline, right: Deadline) -> Bool { left.time < right.time }
}

extension Duration {
    /// Whole microseconds, 0 where negative.
    package var wholeMicroseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000)
        return overflow ? .max : product &+ UInt64(attoseconds / 1_000_000_000_000)
    }
}
