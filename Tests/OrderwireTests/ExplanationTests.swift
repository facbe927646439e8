import RPC
import Testing

@testable import orderwire

@Suite struct ExplanationTests {
    private static func timings(_ microseconds: Int, _ server: [Int]?, attempts: Int = 1) -> CallTimings {
        let stages = server.map { parts in
            var stages = StageTimings()
            (stages.queued, stages.decoded, stages.handler, stages.database, stages.encoded) = (
                .microseconds(parts[0]), .microseconds(parts[1]), .microseconds(parts[2]), .microseconds(parts[3]), .microseconds(parts[4])
            )
            return stages
        }
        return CallTimings(roundTrip: .microseconds(microseconds), server: stages, attempts: attempts, endpoint: "tcp://a:1")
    }

    @Test func whatIsInsideAStageStandsFurtherIn() {
        let calls = [(method: "a.v1.S/One", timings: Self.timings(2000, [20, 5, 1500, 1000, 75]))]
        #expect(Explanation.tables(calls, hasColour: false) == """
            S/One at tcp://a:1, 1 try
            STAGE             TIME  SHARE
            round trip    2.000 ms   100%
              queued      0.020 ms     1%
              decoded     0.005 ms     0%
              handler     1.500 ms    75%
                database  1.000 ms    50%
              encoded     0.075 ms     4%
              on the way  0.400 ms    20%

            """)
    }

    @Test func callsOfAMethodAreAddedUp() {
        let calls = [
            (method: "a.v1.S/One", timings: Self.timings(1000, [0, 0, 100, 0, 0])), (method: "a.v1.S/Two", timings: Self.timings(7, nil)),
            (method: "a.v1.S/One", timings: Self.timings(3000, [0, 0, 100, 0, 0], attempts: 2)),
        ]
        let text = Explanation.tables(calls, hasColour: false)
        #expect(text.hasPrefix("S/One at tcp://a:1, 2 calls, 3 tries\n"))
        #expect(text.contains("round trip    4.000 ms   100%\n") && text.contains("  handler     0.200 ms     5%\n"))
        // This server did not tell.
        #expect(text.hasSuffix("S/Two at tcp://a:1, 1 try\nSTAGE           TIME  SHARE\nround trip  0.007 ms   100%\n"), "\(text)")
    }

    @Test func programsGetALineForEachCall() {
        let line = Explanation.json("a.v1.S/One", Self.timings(2000, [20, 5, 1500, 1000, 75], attempts: 2))
        #expect(line == """
            {"explain":{"method":"a.v1.S/One","endpoint":"tcp://a:1","attempts":2,"roundTripMicroseconds":2000,"queuedMicroseconds":20,\
            "decodedMicroseconds":5,"handlerMicroseconds":1500,"databaseMicroseconds":1000,"encodedMicroseconds":75}}
            """)
    }
}

@Suite struct ShortNameTests {
    private let names = ["a.v1.Cats/List", "a.v1.Dogs/List", "a.v1.Dogs/Walk", "b.v1.Walk"].map { (fullName: $0, value: $0) }

    @Test(arguments: [
        ("a.v1.Cats/List", "a.v1.Cats/List"), ("Cats/List", "a.v1.Cats/List"), ("Cats.List", "a.v1.Cats/List"),
        ("v1.Dogs/List", "a.v1.Dogs/List"), ("b.v1.Walk", "b.v1.Walk"), ("Dogs/Walk", "a.v1.Dogs/Walk"),
    ]) func theEndOfANameIsEnough(name: String, full: String) throws {
        #expect(try ShortName.find(name, among: names, kind: "method") == full)
    }

    @Test(arguments: [
        ("List", "'List' may be a.v1.Cats/List, a.v1.Dogs/List"), ("Walk", "'Walk' may be a.v1.Dogs/Walk, b.v1.Walk"),
        ("ts/List", "no method is called 'ts/List'; there is a.v1.Cats/List, a.v1.Dogs/List"),
        ("lis", "no method is called 'lis'; there is a.v1.Cats/List, a.v1.Dogs/List"),
        ("", "no method is called ''; orderwire list shows what there is"),
    ]) func whatIsNoNameIsExplained(name: String, message: String) {
        let error = #expect(throws: UsageError.self) { try ShortName.find(name, among: names, kind: "method") }
        #expect(error?.message == message)
    }
}
