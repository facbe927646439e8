import RPC
@testable import RPCClient
import TestSupport
import Testing
import ZeroMQ

/// Random histories of a channel's calls beside two plain collections.
@Suite(.blocking) struct PendingCallsTests {
    private func attempt(deadline: UInt64, sendBy: UInt64, isPinned: Bool = false) -> CallAttempt {
        CallAttempt(
            OutgoingRequest(
                method: 1, deadline: Deadline(MonotonicTime(nanoseconds: deadline)), payload: Frame(), extensions: [], wantsTimings: false,
                isPinned: isPinned),
            sendBy: MonotonicTime(nanoseconds: sendBy))
    }

    @Test(arguments: Seeds.fresh(4)) func eachCallEndsOnceAndNoIDComesBack(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var calls = PendingCalls()
        var waiting: [CallAttempt] = []
        var inFlight: [UInt64: CallAttempt] = [:]
        var usedIDs: Set<UInt64> = []
        var ended: Set<ObjectIdentifier> = []
        var everything: [CallAttempt] = []
        var now: UInt64 = 1_000_000

        func end(_ call: CallAttempt) {
            #expect(ended.insert(ObjectIdentifier(call)).inserted, "a call ended twice")
            call.end(.failure(.unsent))
        }

        for _ in 0..<500 {
            now += UInt64.random(in: 0..<500_000, using: &random)
            let time = MonotonicTime(nanoseconds: now)
            switch Int.random(in: 0..<12, using: &random) {
            case 0...3:
                let deadline = now + UInt64.random(in: 0..<60_000_000, using: &random)
                let call = attempt(
                    deadline: deadline, sendBy: min(deadline, now + 20_000_000), isPinned: Bool.random(using: &random))
                everything.append(call)
                waiting.append(call)
                calls.wait(call)
            case 4...6:
                let next = calls.nextToSend()
                #expect(next === waiting.first { !$0.isDone })
                guard let next else { break }
                let id = calls.reserveID()
                #expect(usedIDs.insert(id).inserted, "id \(id) was given twice")
                // Sometimes libzmq takes nothing: then the call stays first, and the id is never used.
                if Int.random(in: 0..<4, using: &random) == 0 { break }
                calls.didSend(id: id)
                waiting.removeAll { $0.isDone || $0 === next }
                inFlight[id] = next
            case 7...8:
                // An answer to a call in flight, or to one that is long over, or to nothing at all.
                let id = Bool.random(using: &random) ? inFlight.keys.sorted().randomElement(using: &random) : usedIDs.sorted().randomElement(using: &random)
                guard let id else { break }
                let taken = calls.take(id: id)
                #expect(taken === inFlight.removeValue(forKey: id))
                if let taken {
                    end(taken)
                }
                let nothing = calls.take(id: UInt64.random(in: .min ... .max, using: &random) | 1 << 62)
                #expect(nothing == nil)
            case 9:
                // Cancelled before it was sent: the table skips it.
                if let call = waiting.randomElement(using: &random), !call.isDone { end(call) }
            case 10 where Int.random(in: 0..<10, using: &random) == 0:
                // To another server; those that are bound to this one stay.
                let movable = calls.takeMovable()
                #expect(movable.map(ObjectIdentifier.init) == waiting.filter { !$0.isDone && !$0.request.isPinned }.map(ObjectIdentifier.init))
                for call in movable { end(call) }
                waiting.removeAll { $0.isDone }
            case 10 where Int.random(in: 0..<30, using: &random) == 0:
                let lost = calls.takeInFlight()
                #expect(Set(lost.map(\.id)) == Set(inFlight.keys))
                for call in lost { end(call) }
                inFlight = [:]
            default:
                let isDue = calls.nextScan.map { time >= $0 } ?? false
                let expired = calls.takeExpired(at: time)
                guard isDue else {
                    #expect(expired.inFlight.isEmpty && expired.waiting.isEmpty)
                    break
                }
                let lateInFlight = inFlight.filter { $0.value.request.deadline.time <= time }
                #expect(Set(expired.inFlight.map(\.id)) == Set(lateInFlight.keys))
                let lateWaiting = waiting.filter { !$0.isDone && $0.sendBy <= time }
                #expect(expired.waiting.map(ObjectIdentifier.init) == lateWaiting.map(ObjectIdentifier.init))
                for call in expired.inFlight + expired.waiting { end(call) }
                for id in lateInFlight.keys { inFlight[id] = nil }
                waiting.removeAll { $0.isDone || $0.sendBy <= time }
            }
            #expect(calls.inFlightCount == inFlight.count)
            // Those that were cancelled while they waited may be counted still.
            #expect(calls.waitingCount >= waiting.count { !$0.isDone })
        }
        for call in calls.takeInFlight() + calls.takeWaiting() { end(call) }
        #expect(ended.count == everything.count && everything.allSatisfy(\.isDone))
        #expect(calls.isEmpty)
    }

    /// Places are used again, and numbers are not.
    @Test func aPlaceIsUsedAgainUnderAnotherID() {
        var calls = PendingCalls()
        var ids: Set<UInt64> = []
        for _ in 0..<10_000 {
            calls.wait(attempt(deadline: .max, sendBy: .max))
            let id = calls.reserveID()
            calls.didSend(id: id)
            ids.insert(id)
            let (first, second) = (calls.take(id: id), calls.take(id: id))
            #expect(first?.id == id && second == nil)
        }
        #expect(ids.count == 10_000 && Set(ids.map { $0 & 0xFFFF }) == [0])
    }
}
