import MongoDB
import RPC
import TestSupport
import Testing

@testable import Shop

@Suite("Queue scan")
struct QueueScanTests {
    private func date(_ seconds: Int64) -> BSONDate { BSONDate(millisecondsSince1970: seconds * 1000) }
    private func shortlyBefore(_ seconds: Int64) -> BSONDate {
        BSONDate(millisecondsSince1970: seconds * 1000 - Int64(QueueScan.overlap.wholeMicroseconds / 1000))
    }
    private func time(_ seconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * 1_000_000_000) }

    @Test("begins at the bottom, then shortly before what was read last, and at the bottom again after a second")
    func begins() {
        var scan = QueueScan()
        #expect(scan.start(at: time(10)) == nil)
        scan.didRead(from: nil, upTo: date(100), isAll: false, at: time(10))
        #expect(scan.start(at: time(10)) == shortlyBefore(100))
        scan.didRead(from: shortlyBefore(100), upTo: date(105), isAll: true, at: time(10))
        #expect(scan.start(at: time(10)) == shortlyBefore(105))
        #expect(scan.start(at: time(11)) == nil)
    }

    @Test("an empty queue moves nothing, and is looked at from the bottom now and then")
    func empty() {
        var scan = QueueScan()
        scan.didRead(from: nil, upTo: nil, isAll: true, at: time(10))
        #expect(scan.start(at: time(10)) == nil)
        scan.didRead(from: nil, upTo: date(100), isAll: true, at: time(10))
        scan.didRead(from: shortlyBefore(100), upTo: nil, isAll: true, at: time(10))
        #expect(scan.start(at: time(10)) == shortlyBefore(100))
    }

    @Test("what a look at the bottom leaves unread is read next, however old it is")
    func farBack() {
        var scan = QueueScan()
        scan.didRead(from: nil, upTo: date(1000), isAll: true, at: time(10))
        // 1,000 late orders, and more of them left.
        scan.didRead(from: nil, upTo: date(50), isAll: false, at: time(11))
        #expect(scan.start(at: time(11)) == shortlyBefore(50))
        // All of them read: back to where the new ones come.
        scan.didRead(from: shortlyBefore(50), upTo: date(60), isAll: true, at: time(11))
        #expect(scan.start(at: time(11)) == shortlyBefore(60))
    }

    @Test("every order is found within a sweep's time, whatever its accepted time", arguments: Seeds.fresh(100))
    func randomHistory(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var scan = QueueScan()
        // Accepted times of what waits, and since when.
        var queue: [(accepted: Int64, since: Int64)] = []
        for step in Int64(0)..<300 {
            let now = MonotonicTime(nanoseconds: UInt64(step) * 100_000_000)
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                // Most clocks are right; some are slow by up to an hour.
                let lag = Int.random(in: 0..<5, using: &random) == 0 ? Int64.random(in: 0...3_600_000, using: &random) : 0
                queue.append((10_000_000 + step * 100 - lag, step))
            }
            let start = scan.start(at: now)
            let candidates = queue.filter { $0.accepted >= start?.millisecondsSince1970 ?? .min }.sorted { $0.accepted < $1.accepted }
            let read = candidates.prefix(10)
            scan.didRead(
                from: start, upTo: read.last.map { BSONDate(millisecondsSince1970: $0.accepted) }, isAll: candidates.count < 10, at: now)
            for taken in read { queue.removeAll { $0 == taken } }
            if queue.count < 10 {
                // With room in each look, nothing waits for longer than a sweep and a look.
                #expect(queue.allSatisfy { step - $0.since <= 22 })
            }
        }
    }
}
