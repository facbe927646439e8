import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("Backlog")
struct BacklogStateTests {
    private static func time(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: UInt64((1000 + seconds) * 1e9)) }

    /// What a server sees.
    enum Step: Sendable {
        case accept(Int)
        case see(sequence: Int64, at: Double)
        case count(Int64, sequence: Int64, meanwhile: Int64 = 0, at: Double)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var longest = Duration.seconds(60)
        var steps: [Step]
        var waiting: Int64
        var limit: Int64
        var refusal: Duration?
    }

    static let rows = [
        Row(testDescription: "a new server takes what comes", steps: [], waiting: 0, limit: 50_000),
        Row(testDescription: "up to the least that it must take", steps: [.accept(49_999)], waiting: 49_999, limit: 50_000),
        Row(testDescription: "and no more while nobody is known to settle", steps: [.accept(50_000)], waiting: 50_000, limit: 50_000, refusal: .seconds(5)),
        Row(testDescription: "what is settled makes room", steps: [.accept(50_000), .see(sequence: 7, at: 0), .see(sequence: 107, at: 1)], waiting: 49_900, limit: 50_000),
        Row(
            testDescription: "an idle settler's pace is no measure of what it can do",
            steps: [.count(0, sequence: 0, at: 0), .accept(10), .see(sequence: 10, at: 1), .accept(10), .see(sequence: 20, at: 2)], waiting: 0, limit: 50_000),
        Row(
            testDescription: "a busy settler's is: a minute of it may wait", steps: [.count(5000, sequence: 0, at: 0), .see(sequence: 2000, at: 1)],
            waiting: 3000, limit: 120_000),
        Row(
            testDescription: "or what somebody says", longest: .seconds(600), steps: [.count(5000, sequence: 0, at: 0), .see(sequence: 2000, at: 1)],
            waiting: 3000, limit: 1_200_000),
        Row(
            testDescription: "a short time to wait is no reason to refuse less than the least", longest: .milliseconds(10),
            steps: [.count(5000, sequence: 0, at: 0), .see(sequence: 2000, at: 1)], waiting: 3000, limit: 50_000),
        Row(
            testDescription: "above the limit callers hear when there may be room", steps: [.count(124_000, sequence: 0, at: 0), .see(sequence: 2000, at: 1)],
            waiting: 122_000, limit: 120_000, refusal: .seconds(1)),
        Row(
            testDescription: "at the limit soon", steps: [.count(122_000, sequence: 0, at: 0), .see(sequence: 2000, at: 1)], waiting: 120_000, limit: 120_000,
            refusal: .milliseconds(100)),
        Row(
            testDescription: "far above it not for ever", steps: [.count(9_000_000, sequence: 0, at: 0), .see(sequence: 2000, at: 1)], waiting: 8_998_000,
            limit: 120_000, refusal: .seconds(5)),
        Row(
            testDescription: "one slow second changes the rate by a tenth",
            steps: [.count(50_000, sequence: 0, at: 0), .see(sequence: 2000, at: 1), .see(sequence: 2000, at: 2)], waiting: 48_000, limit: 108_000),
        Row(
            testDescription: "a settler that stands still for longer has no rate", steps: [.count(50_000, sequence: 0, at: 0), .see(sequence: 2000, at: 1), .see(sequence: 2000, at: 20)],
            waiting: 48_000, limit: 50_000),
        Row(
            testDescription: "a count corrects what was believed, and orders accepted meanwhile are added",
            steps: [.accept(40_000), .count(100, sequence: 3, meanwhile: 20, at: 1)], waiting: 120, limit: 50_000),
        Row(
            testDescription: "what another server accepted is found by counting", steps: [.count(0, sequence: 0, at: 0), .count(70_000, sequence: 10, at: 1)], waiting: 70_000,
            limit: 50_000, refusal: .seconds(5)),
        Row(
            testDescription: "more settled than known of leaves nothing", steps: [.accept(5), .see(sequence: 0, at: 0), .see(sequence: 900, at: 1)], waiting: 0, limit: 50_000),
        Row(
            testDescription: "numbers do not overflow", longest: .seconds(1 << 60), steps: [.count(5000, sequence: 0, at: 0), .see(sequence: 2000, at: 1)],
            waiting: 3000, limit: .max / 2 + 1),
    ]

    @Test("allows so many seconds of the measured rate, and never less than its least", arguments: rows)
    func decides(row: Row) {
        var state = BacklogState(longest: row.longest)
        for step in row.steps {
            switch step {
            case .accept(let count): state.didAccept(count)
            case .see(let sequence, let at): state.didSee(sequence: sequence, at: Self.time(at))
            case .count(let count, let sequence, let meanwhile, let at):
                state.didCount(count, sequence: sequence, acceptedMeanwhile: meanwhile, at: Self.time(at))
            }
        }
        #expect(state.waiting == row.waiting)
        #expect(state.limit == row.limit)
        #expect(state.refusal == row.refusal)
    }
}
