@testable import RPCClient
import TestSupport
import Testing

/// Which server a try goes to.
@Suite struct PickerTests {
    private func picks(
        _ servers: [Candidate], avoiding avoided: Int? = nil, isRetry: Bool = false, seed: UInt64 = 1, count: Int = 300
    ) -> [Int?: Int] {
        var random = SeededGenerator(seed: seed)
        var counts: [Int?: Int] = [:]
        for _ in 0..<count {
            let index = Picker.choose(
                among: servers.count, avoiding: avoided, isRetry: isRetry, random: &random) { servers[$0] }
            counts[index, default: 0] += 1
        }
        return counts
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var standings: [Standing]
        var avoided: Int?
        var chosen: Set<Int>

        init(_ name: String, _ standings: [Standing], avoiding avoided: Int? = nil, _ chosen: Set<Int>) {
            testDescription = name
            self.standings = standings
            self.avoided = avoided
            self.chosen = chosen
        }
    }

    @Test(arguments: [
        Case("one is all there is", [.away], [0]),
        Case("a ready one goes before all others", [.away, .ready, .suspect, .refusing, .resting], [1]),
        Case("one that rests goes before a suspect", [.suspect, .resting], [1]),
        Case("a suspect has a session", [.away, .suspect], [1]),
        Case("without a session any may come first", [.away, .away, .refusing], [0, 1]),
        Case("one that refuses is better than none", [.refusing, .refusing], [0, 1]),
        Case("ready ones share", [.ready, .ready, .away], [0, 1]),
        Case("a failed try goes elsewhere", [.ready, .ready, .ready], avoiding: 1, [0, 2]),
        Case("elsewhere may rest", [.ready, .resting], avoiding: 0, [1]),
        Case("the same again where no other is ready", [.ready, .away], avoiding: 0, [0]),
        Case("the same again where it is alone", [.ready], avoiding: 0, [0]),
        Case("avoided or suspect is all the same", [.ready, .suspect], avoiding: 0, [0, 1]),
    ]) func theBestStandingIsChosen(_ it: Case) {
        let counts = picks(it.standings.map { Candidate(standing: $0) }, avoiding: it.avoided)
        #expect(Set(counts.keys.compactMap { $0 }) == it.chosen && counts[nil] == nil)
    }

    @Test func nothingIsChosenFromNothing() {
        #expect(picks([]) == [nil: 300])
    }

    @Test func aServerThatAllowsNoRetriesGetsNone() {
        let servers = [Candidate(standing: .ready, allowsRetries: false), Candidate(standing: .away), Candidate(standing: .away, allowsRetries: false)]
        #expect(picks(servers, isRetry: true) == [1: 300])
        #expect(picks(servers) == [0: 300])
        #expect(picks([servers[0]], avoiding: 0, isRetry: true) == [nil: 300])
    }

    @Test func theLessLoadedOfTwoIsChosen() {
        #expect(picks([Candidate(load: 3), Candidate(load: 2)]) == [1: 300])
        #expect(picks([Candidate(load: 2), Candidate(load: 3)]) == [0: 300])
    }

    /// Of three and more, each pair is as likely: the most loaded is never chosen, the least loaded in the pairs that hold it.
    @Test(arguments: Seeds.fresh(4)) func eachPairIsAsLikely(seed: UInt64) {
        let size = 6
        let count = 60_000
        let counts = picks((0..<size).map { Candidate(load: $0) }, seed: seed, count: count)
        // Server k wins against the size - 1 - k that are more loaded, of size x (size - 1) / 2 pairs.
        for index in 0..<size {
            let expected = Double(count) * Double(size - 1 - index) / Double(size * (size - 1) / 2)
            #expect(abs(Double(counts[index] ?? 0) - expected) < 0.1 * Double(count) / Double(size), "server \(index)")
        }
    }

    @Test(arguments: Seeds.fresh(4)) func equalServersShareEqually(seed: UInt64) {
        for size in 2...5 {
            let counts = picks(Array(repeating: Candidate(), count: size), seed: seed, count: 20_000)
            for index in 0..<size { #expect(abs((counts[index] ?? 0) - 20_000 / size) < 1000, "server \(index) of \(size)") }
        }
    }

    /// Whatever the servers are like, the choice has the best standing of those that may be chosen.
    @Test(arguments: Seeds.fresh(4)) func randomServers(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<3000 {
            let servers = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                Candidate(
                    standing: Standing(rawValue: .random(in: 0...4, using: &random)) ?? .ready, load: .random(in: 0...3, using: &random),
                    allowsRetries: .random(using: &random))
            }
            let isRetry = Bool.random(using: &random)
            let eligible = servers.indices.filter { !isRetry || servers[$0].allowsRetries }
            let chosen = Picker.choose(among: servers.count, isRetry: isRetry, random: &random) { servers[$0] }
            #expect((chosen == nil) == eligible.isEmpty)
            guard let chosen else { continue }
            let best = eligible.map { servers[$0].standing }.min()
            #expect(eligible.contains(chosen) && servers[chosen].standing == best)
            let heaviest = eligible.filter { servers[$0].standing == best }.map { servers[$0].load }.max() ?? 0
            let equals = eligible.count { servers[$0].standing == best && servers[$0].load == heaviest }
            #expect(servers[chosen].load < heaviest || equals > 1 || eligible.count { servers[$0].standing == best } == 1)
        }
    }
}
