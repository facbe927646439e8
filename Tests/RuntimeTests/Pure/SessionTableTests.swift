import RPC
@testable import RPCServer
import TestSupport
import Testing

/// Random histories of the open sessions beside a dictionary.
@Suite(.blocking) struct SessionTableTests {
    @Test(arguments: Seeds.fresh(4)) func itHoldsWhatADictionaryWouldHold(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var table = SessionTable(methodCount: 2)
        var model: [UInt32: Session] = [:]
        let identities = try ["a", "b", "c"].map { try #require(Identity($0)) }
        var lastHeard: [UInt32: UInt64] = [:]
        for step in 0..<500 {
            let peer = UInt32.random(in: 0..<20, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                // A HELLO starts over.
                let closed = table.close(PeerID(bytes: peer))
                #expect(closed === model[peer])
                let identity = try #require(identities.randomElement(using: &random))
                let now = UInt64(step) * 1000
                model[peer] = table.open(
                    peer: PeerID(bytes: peer), id: UInt64(step), identity: identity, now: MonotonicTime(nanoseconds: now))
                lastHeard[peer] = now
            case 1:
                let closed = table.close(PeerID(bytes: peer))
                #expect(closed === model.removeValue(forKey: peer))
            case 2:
                let found = table[PeerID(bytes: peer)]
                #expect(found === model[peer])
            default:
                let limit = UInt64.random(in: 0..<500, using: &random)
                let silent = table.silent(for: limit, at: MonotonicTime(nanoseconds: UInt64(step) * 1000))
                let expected = model.keys.filter { (UInt64(step) * 1000 - (lastHeard[$0] ?? 0)) / 1000 > limit }
                #expect(Set(silent.map(\.peer.bytes)) == Set(expected))
            }
            #expect(table.count == model.count)
        }
        #expect(Set(table.all.map(\.peer.bytes)) == Set(model.keys))
    }

    /// The connections of one client share its lanes; once the last has gone, nothing of it is kept.
    @Test func connectionsOfAClientShareItsLanes() throws {
        var table = SessionTable(methodCount: 2)
        let alice = try #require(Identity("alice"))
        let bob = try #require(Identity("bob"))
        let now = MonotonicTime(nanoseconds: 1)
        let first = table.open(peer: PeerID(bytes: 1), id: 1, identity: alice, now: now)
        let second = table.open(peer: PeerID(bytes: 2), id: 2, identity: alice, now: now)
        let other = table.open(peer: PeerID(bytes: 3), id: 3, identity: bob, now: now)
        #expect(first.lanes === second.lanes && first.lanes !== other.lanes)
        #expect(first.lanes.lane(for: 1) === second.lanes.lane(for: 1))
        #expect(first.lanes.lane(for: 0) !== first.lanes.lane(for: 1))
        _ = table.close(PeerID(bytes: 1))
        let third = table.open(peer: PeerID(bytes: 4), id: 4, identity: alice, now: now)
        #expect(third.lanes === second.lanes)
        for peer: UInt32 in [2, 4] { _ = table.close(PeerID(bytes: peer)) }
        let returned = table.open(peer: PeerID(bytes: 5), id: 5, identity: alice, now: now)
        #expect(returned.lanes !== first.lanes)
        let former = table[PeerID(bytes: 1)]
        #expect(former == nil)
    }
}
