import ProtoRuntime
import Protobuf
import Testing

/// Timestamp and Duration in JSON.
struct TimeTextTests {
    static let timestamps: [(Int64, Int32, String)] = [
        (0, 0, "1970-01-01T00:00:00Z"),
        (0, 120_000_000, "1970-01-01T00:00:00.120Z"),
        (0, 1000, "1970-01-01T00:00:00.000001Z"),
        (0, 1, "1970-01-01T00:00:00.000000001Z"),
        (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
        (951_782_400, 0, "2000-02-29T00:00:00Z"),
        (1_709_251_199, 0, "2024-02-29T23:59:59Z"),
        (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
        (253_402_300_799, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
        (4_107_542_400, 0, "2100-03-01T00:00:00Z"),
    ]

    @Test(arguments: timestamps)
    func timestamp(_ seconds: Int64, _ nanos: Int32, _ text: String) throws {
        let stamp = WellKnown.Timestamp(seconds: seconds, nanos: nanos)
        #expect(try stamp.jsonString() == "\"\(text)\"")
        #expect(try WellKnown.Timestamp(jsonString: "\"\(text)\"") == stamp)
    }

    @Test func otherSpellingsOfATimestamp() throws {
        #expect(try WellKnown.Timestamp(jsonString: "\"1970-01-01T01:00:00.5+01:00\"") == .init(seconds: 0, nanos: 500_000_000))
        #expect(try WellKnown.Timestamp(jsonString: "\"1969-12-31T22:30:00-01:30\"") == .init(seconds: 0, nanos: 0))
    }

    static let noTimestamps = [
        "", "1970-01-01", "1970-01-01T00:00:00", "1970-01-01 00:00:00Z", "1970-1-1T00:00:00Z", "1970-00-01T00:00:00Z",
        "1970-13-01T00:00:00Z", "1970-04-31T00:00:00Z", "1900-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z", "1970-01-01T00:00:60Z", "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00.1234567890Z",
        "1970-01-01T00:00:00Zx", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "1970-01-01T00:00:00+24:00",
        "-970-01-01T00:00:00Z", "١٩٧٠-01-01T00:00:00Z",
    ]

    @Test(arguments: noTimestamps)
    func noTimestamp(_ text: String) {
        #expect(throws: JSONDecodingError.self) { try WellKnown.Timestamp(jsonString: "\"\(text)\"") }
    }

    static let durations: [(Int64, Int32, String)] = [
        (0, 0, "0s"), (1, 500_000_000, "1.500s"), (-1, -500_000_000, "-1.500s"), (0, -1, "-0.000000001s"), (3, 1000, "3.000001s"),
        (315_576_000_000, 999_999_999, "315576000000.999999999s"), (-315_576_000_000, 0, "-315576000000s"),
    ]

    @Test(arguments: durations)
    func duration(_ seconds: Int64, _ nanos: Int32, _ text: String) throws {
        let duration = WellKnown.Duration(seconds: seconds, nanos: nanos)
        #expect(try duration.jsonString() == "\"\(text)\"")
        #expect(try WellKnown.Duration(jsonString: "\"\(text)\"") == duration)
    }

    static let noDurations = ["", "s", "1", "1.s", ".5s", "1,5s", "315576000001s", "9999999999999s", "1e3s", "--1s", "1.0000000000s", "1 s"]

    @Test(arguments: noDurations)
    func noDuration(_ text: String) {
        #expect(throws: JSONDecodingError.self) { try WellKnown.Duration(jsonString: "\"\(text)\"") }
    }

    @Test func numbersOutOfRangeHaveNoText() {
        #expect(throws: EncodingError.self) { try WellKnown.Timestamp(seconds: .max, nanos: 0).jsonString() }
        #expect(throws: EncodingError.self) { try WellKnown.Timestamp(seconds: .min, nanos: 0).jsonString() }
        #expect(throws: EncodingError.self) { try WellKnown.Timestamp(seconds: 0, nanos: -1).jsonString() }
        #expect(throws: EncodingError.self) { try WellKnown.Duration(seconds: .min, nanos: .min).jsonString() }
        #expect(throws: EncodingError.self) { try WellKnown.Duration(seconds: 1, nanos: -1).jsonString() }
    }

    @Test func swiftDurations() {
        #expect(WellKnown.Duration(Swift.Duration.milliseconds(1500)) == .init(seconds: 1, nanos: 500_000_000))
        #expect(WellKnown.Duration(Swift.Duration.milliseconds(-1500)) == .init(seconds: -1, nanos: -500_000_000))
        #expect(Swift.Duration(WellKnown.Duration(seconds: -1, nanos: -500_000_000)) == .milliseconds(-1500))
        #expect(Swift.Duration(WellKnown.Duration(seconds: .max, nanos: .max)) > .seconds(Int64.max))
        #expect(Swift.Duration(WellKnown.Duration(seconds: .min, nanos: .min)) < .seconds(Int64.min))
    }

    @Test func milliseconds() {
        #expect(WellKnown.Timestamp(millisecondsSinceEpoch: 1500) == .init(seconds: 1, nanos: 500_000_000))
        #expect(WellKnown.Timestamp(millisecondsSinceEpoch: -1) == .init(seconds: -1, nanos: 999_000_000))
        #expect(WellKnown.Timestamp(millisecondsSinceEpoch: .min).nanos == 192_000_000)
    }
}
