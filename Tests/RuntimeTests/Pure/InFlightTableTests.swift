import RPC
@testable import RPCServer
import TestSupport
import Testing

/// Random histories of the table of calls in flight beside a dictionary.
@Suite(.blocking) struct InFlightTableTests {
    @Test(arguments: Seeds.fresh(4)) func itHoldsWhatADictionaryWouldHold(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = InFlightTable()
        var model: [UInt64: Call] = [:]
        var gone: [Call] = []
        var now: UInt64 = 1_000_000
        var nextID: UInt64 = 0
        for _ in 0..<500 {
            now += UInt64.random(in: 0..<1_000_000, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0...5:
                nextID += 1
                let call = PureCalls.call(
                    id: nextID, payload: Array(repeating: 0, count: Int.random(in: 0..<50, using: &random)),
                    deadline: now + UInt64.random(in: 0..<100_000_000, using: &random), arrival: now)
                table.insert(call)
                model[nextID] = call
            case 6...7:
                guard let call = model.values.min(by: { $0.id < $1.id }) else { continue }
                let isRemoved = table.remove(call)
                #expect(isRemoved)
                model[call.id] = nil
                gone.append(call)
            case 8:
                // A call ends once.
                guard let call = gone.randomElement(using: &random) else { break }
                let isRemovedAgain = table.remove(call)
                #expect(!isRemovedAgain)
            default:
                let time = MonotonicTime(nanoseconds: now)
                let isDue = table.nextScan.map { time >= $0 } ?? false
                let expired = table.takeExpired(at: time)
                if isDue {
                    let late = model.values.filter { $0.deadline.time <= time }
                    #expect(Set(expired.map(\.id)) == Set(late.map(\.id)))
                } else {
                    #expect(expired.isEmpty)
                }
                for call in expired { model[call.id] = nil }
                gone += expired
            }
            #expect(table.count == model.count)
            #expect(table.payloadBytes == model.values.map(\.payload.count).reduce(0, +))
            #expect(table.oldestArrival == model.values.map(\.arrival).min())
            // It asks for a look no later than its precision after the first deadline.
            if let next = table.nextScan, let first = model.values.map(\.deadline.time).min() {
                #expect(next <= max(first, MonotonicTime(nanoseconds: now)).advanced(byMicroseconds: InFlightTable.minScanInterval))
            } else {
                #expect(model.isEmpty)
            }
        }
        let all = table.takeAll()
        #expect(Set(all.map(\.id)) == Set(model.keys))
        #expect(table.count == 0 && table.payloadBytes == 0 && table.nextScan == nil)
    }
}
