import RPC
import Testing

@Suite struct HeaderExtensionTests {
    private func parse(_ bytes: [UInt8]) throws -> HeaderExtension {
        try bytes.withUnsafeBytes { try HeaderExtension($0) }
    }

    @Test func traceparentAndPairsSurviveTheWire() throws {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let written = HeaderExtension(traceparent: trace, metadata: [("tenant", "blue"), ("empty", ""), ("größe", "ß")])
        let read = try parse(try #require(written.encoded()))
        #expect(read.traceparent == trace)
        #expect(read.metadata.map(\.key) == ["tenant", "empty", "größe"] && read.metadata.map(\.value) == ["blue", "", "ß"])
    }

    @Test func stageTimingsSurviveTheWire() throws {
        var timings = StageTimings()
        (timings.queued, timings.decoded, timings.handler) = (.microseconds(1), .microseconds(2), .milliseconds(3))
        // More than the field holds stops at its end.
        (timings.database, timings.encoded) = (.microseconds(4), .seconds(10_000))
        let read = try parse(try #require(HeaderExtension(timings: timings).encoded()))
        timings.encoded = .microseconds(Int64(UInt32.max))
        #expect(read.timings == timings)
    }

    @Test func unknownOnesAreSkippedAndCounted() throws {
        let read = try parse([99, 0, 2, 0, 1, 2, 98, 0, 0, 0])
        #expect(read.skippedCount == 2)
    }

    @Test(arguments: [
        ([99], .cut), ([99, 0, 1], .cut), ([99, 0, 1, 0], .cut), ([1, 0, 255, 255, 0], .cut),
        ([99, 1, 0, 0], .unknownCritical(99)),
        ([2, 0, 0, 0], .malformed(.metadata)), ([2, 0, 2, 0, 9, 65], .malformed(.metadata)),
        ([3, 0, 2, 0, 9, 65], .malformed(.timings)),
    ] as [([UInt8], HeaderExtension.Defect)]) func aDefectIsNamed(bytes: [UInt8], defect: HeaderExtension.Defect) {
        #expect(throws: defect) { try parse(bytes) }
    }

    @Test func whatDoesNotFitIsNotEncoded() {
        #expect(HeaderExtension(metadata: [(String(repeating: "k", count: 256), "v")]).encoded() == nil)
        #expect(HeaderExtension(metadata: [("", "v")]).encoded() == nil)
        // 4 bytes of TLV, 1 of length, 1 of key.
        #expect(HeaderExtension(metadata: [("k", String(repeating: "v", count: 4090))]).encoded()?.count == 4096)
        #expect(HeaderExtension(metadata: [("k", String(repeating: "v", count: 4091))]).encoded() == nil)
    }
}
