/// The texts of Timestamp (RFC 3339) and Duration ("1.500s") in JSON.
enum TimeText {
    /// Seconds and nanoseconds, as both messages hold them.
    struct Parts: Equatable {
        var seconds: Int64
        var nanos: Int32
    }

    /// 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z.
    private static let timestampSeconds: ClosedRange<Int64> = -62_135_596_800...253_402_300_799
    /// 10,000 years each way.
    private static let durationSeconds: ClosedRange<Int64> = -315_576_000_000...315_576_000_000
    private static let secondsADay: Int64 = 86_400

    // MARK: - Writing

    static func timestamp(seconds: Int64, nanos: Int32) throws(EncodingError) -> String {
        guard timestampSeconds.contains(seconds), (0...999_999_999).contains(nanos) else {
            throw EncodingError(reason: "a Timestamp outside the years 1 to 9999")
        }
        let shifted = seconds - timestampSeconds.lowerBound  // from year 1, so never negative
        let date = Self.date(fromDays: shifted / secondsADay)
        let time = shifted % secondsADay
        return padded(date.year, 4) + "-" + padded(date.month, 2) + "-" + padded(date.day, 2) + "T"
            + padded(time / 3600, 2) + ":" + padded(time / 60 % 60, 2) + ":" + padded(time % 60, 2) + fraction(nanos) + "Z"
    }

    static func duration(seconds: Int64, nanos: Int32) throws(EncodingError) -> String {
        let agree = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0)
        guard durationSeconds.contains(seconds), (-999_999_999...999_999_999).contains(nanos), agree else {
            throw EncodingError(reason: "a Duration beyond 10,000 years, or with two signs")
        }
        return (seconds < 0 || nanos < 0 ? "-" : "") + "\(abs(seconds))" + fraction(abs(nanos)) + "s"
    }

    /// Nothing, or a point and 3, 6 or 9 digits.
    private static func fraction(_ nanos: Int32) -> String {
        if nanos == 0 { return "" }
        if nanos % 1_000_000 == 0 { return "." + padded(Int64(nanos / 1_000_000), 3) }
        if nanos % 1000 == 0 { return "." + padded(Int64(nanos / 1000), 6) }
        return "." + padded(Int64(nanos), 9)
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = "\(number)"
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    // MARK: - Reading

    /// `2024-02-29T12:00:00.5+01:00`; nil where it is none.
    static func timestamp(_ text: String) -> Parts? {
        var reader = DigitReader(text)
        guard let year = reader.digits(4), reader.take("-"), let month = reader.digits(2), reader.take("-"),
            let day = reader.digits(2), reader.take("T"), let hour = reader.digits(2), reader.take(":"),
            let minute = reader.digits(2), reader.take(":"), let second = reader.digits(2), let nanos = reader.fraction()
        else { return nil }
        guard let days = days(year: year, month: month, day: day), hour < 24, minute < 60, second < 60 else { return nil }
        var seconds = timestampSeconds.lowerBound + days * secondsADay + hour * 3600 + minute * 60 + second
        if !reader.take("Z") {
            let isEast = reader.take("+")
            guard isEast || reader.take("-"), let hours = reader.digits(2), reader.take(":"), let minutes = reader.digits(2),
                hours < 24, minutes < 60
            else { return nil }
            seconds -= (isEast ? 1 : -1) * (hours * 3600 + minutes * 60)
        }
        guard reader.isAtEnd, timestampSeconds.contains(seconds) else { return nil }
        return Parts(seconds: seconds, nanos: nanos)
    }

    /// `-1.500s`; nil where it is none.
    static func duration(_ text: String) -> Parts? {
        var reader = DigitReader(text)
        let isNegative = reader.take("-")
        guard let seconds = reader.digits(1...12), let nanos = reader.fraction(), reader.take("s"), reader.isAtEnd,
            durationSeconds.contains(seconds)
        else { return nil }
        return isNegative ? Parts(seconds: -seconds, nanos: -nanos) : Parts(seconds: seconds, nanos: nanos)
    }

    // MARK: - The calendar

    private static let daysA400Years: Int64 = 146_097

    private static func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func days(in month: Int64, of year: Int64) -> Int64 {
        month == 2 ? (isLeap(year) ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    /// Days from 0001-01-01 to the first of January of a year.
    private static func days(before year: Int64) -> Int64 {
        let past = year - 1
        return past * 365 + past / 4 - past / 100 + past / 400
    }

    /// Days from 0001-01-01; nil where there is no such day.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64? {
        guard year >= 1, (1...12).contains(month), day >= 1, day <= days(in: month, of: year) else { return nil }
        return days(before: year) + (1..<month).reduce(0) { $0 + days(in: $1, of: year) } + day - 1
    }

    private static func date(fromDays days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        var year = days * 400 / daysA400Years + 1  // right, or one off at a turn of the year
        while self.days(before: year) > days { year -= 1 }
        while self.days(before: year + 1) <= days { year += 1 }
        var rest = days - self.days(before: year)
        var month: Int64 = 1
        while rest >= self.days(in: month, of: year) {
            rest -= self.days(in: month, of: year)
            month += 1
        }
        return (year, month, rest + 1)
    }
}

/// Takes a text apart from its start.
private struct DigitReader {
    private var rest: Substring.UTF8View

    init(_ text: String) { rest = text[...].utf8 }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    mutating func digits(_ count: Int) -> Int64? { digits(count...count) }

    mutating func digits(_ counts: ClosedRange<Int>) -> Int64? {
        let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }.prefix(counts.upperBound)
        guard digits.count >= counts.lowerBound else { return nil }
        rest = rest.dropFirst(digits.count)
        return digits.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
    }

    /// Nothing, or a point and 1 to 9 digits; in nanoseconds.
    mutating func fraction() -> Int32? {
        guard take(".") else { return 0 }
        let before = rest.count
        guard var value = digits(1...9) else { return nil }
        for _ in (before - rest.count)..<9 { value *= 10 }
        return Int32(value)
    }
}
