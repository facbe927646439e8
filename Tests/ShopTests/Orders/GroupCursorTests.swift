import TestSupport
import Testing

@testable import Shop

@Suite("Group cursor")
struct GroupCursorTests {
    private func acknowledge(_ sequences: [Int64], _ cursor: inout GroupCursor) -> Bool { cursor.acknowledge(sequences) }

    @Test("the low mark moves over what is acknowledged without a gap, and no further")
    func contiguous() {
        var cursor = GroupCursor(lowMark: 10)
        for sequence in Int64(11)...15 { cursor.didSend(sequence) }
        #expect(acknowledge([12, 13], &cursor) == false)
        #expect(cursor.lowMark == 10)
        #expect(acknowledge([11], &cursor) == true)
        #expect(cursor.lowMark == 13)
        #expect(cursor.unacknowledgedCount == 2)
        #expect(acknowledge([15, 14], &cursor) == true)
        #expect(cursor.lowMark == 15)
    }

    @Test("what the filter leaves out is passed")
    func filtered() {
        var cursor = GroupCursor(lowMark: 0)
        cursor.didPass(4)
        #expect(cursor.lowMark == 4)
        cursor.didSend(7)
        cursor.didPass(9)
        #expect(cursor.lowMark == 6)
        #expect(acknowledge([7], &cursor) == true)
        #expect(cursor.lowMark == 9)
    }

    @Test("repeated, unknown and future acknowledgements change nothing", arguments: [[Int64]]([[], [1], [3, 3], [99], [-1, 0], [.min, .max]]))
    func harmless(sequences: [Int64]) {
        var cursor = GroupCursor(lowMark: 2)
        cursor.didSend(3)
        _ = cursor.acknowledge([3])
        let before = cursor
        #expect(acknowledge(sequences, &cursor) == false)
        #expect(cursor == before)
    }

    @Test("after a rewind only what was not acknowledged is sent again")
    func rewind() {
        var cursor = GroupCursor(lowMark: 0)
        for sequence in Int64(1)...4 { cursor.didSend(sequence) }
        _ = cursor.acknowledge([1, 3])
        cursor.rewind()
        #expect(cursor.position == 1)
        #expect((Int64(2)...4).filter { !cursor.isAcknowledged($0) } == [2, 4])
        cursor.didSend(2)
        cursor.didSend(4)
        #expect(cursor.unacknowledgedCount == 2)
        #expect(acknowledge([2, 4], &cursor) == true)
        #expect(cursor.lowMark == 4)
    }

    @Test("random histories agree with a model that keeps every number", arguments: Seeds.fresh(300))
    func randomHistory(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let start = Int64.random(in: 0...50, using: &random)
        var cursor = GroupCursor(lowMark: start)
        var model = Model(start: start)
        // Which numbers are for this group is fixed, as a filter is.
        let log = (start + 1...start + 200).filter { _ in Bool.random(using: &random) }
        for _ in 0..<400 {
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<6:
                guard let next = log.first(where: { $0 > cursor.position }) else {
                    cursor.didPass(start + 200)
                    model.position = start + 200
                    continue
                }
                if cursor.isAcknowledged(next) {
                    cursor.didPass(next)
                } else {
                    cursor.didSend(next)
                    model.sent.insert(next)
                }
                model.position = max(model.position, next)
            case 6..<11:
                let sequences = (0..<Int.random(in: 1...5, using: &random)).map { _ in Int64.random(in: start - 2...start + 205, using: &random) }
                let before = cursor.lowMark
                let moved = cursor.acknowledge(sequences)
                #expect(moved == (cursor.lowMark > before))
                model.acknowledged.formUnion(model.sent.intersection(sequences))
            default:
                cursor.rewind()
                model.position = cursor.position
            }
            #expect(cursor.unacknowledgedCount == model.sent.subtracting(model.acknowledged).count)
            #expect(cursor.lowMark <= model.highestSafeMark(log))
            #expect(cursor.lowMark >= model.lastContiguous(log))
            #expect(cursor.position >= cursor.lowMark)
        }
        // In the end everything is sent and acknowledged.
        while let next = log.first(where: { $0 > cursor.position }) {
            if cursor.isAcknowledged(next) { cursor.didPass(next) } else { cursor.didSend(next) }
        }
        cursor.didPass(start + 200)
        _ = cursor.acknowledge(log)
        #expect(cursor.lowMark == start + 200)
        #expect(cursor.unacknowledgedCount == 0)
    }
}

/// Keeps every number by itself.
private struct Model {
    let start: Int64
    var position: Int64
    var sent: Set<Int64> = []
    var acknowledged: Set<Int64> = []

    init(start: Int64) {
        self.start = start
        position = start
    }

    /// A low mark above this would lose a completion that nobody acknowledged.
    func highestSafeMark(_ log: [Int64]) -> Int64 {
        (log.first { !acknowledged.contains($0) } ?? Int64.max) - 1
    }

    /// A low mark below this would send again what was acknowledged without a gap.
    func lastContiguous(_ log: [Int64]) -> Int64 {
        log.prefix { acknowledged.contains($0) }.last ?? start
    }
}
