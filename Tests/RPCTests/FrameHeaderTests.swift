import RPC
import Testing

@Suite struct FrameHeaderTests {
    private func parse(_ bytes: [UInt8]) throws -> FrameHeader {
        try bytes.withUnsafeBytes { try FrameHeader($0) }
    }

    @Test func aRequestHasTheBytesOfTheWireDocument() {
        let header = FrameHeader.request(
            callID: 0x0102_0304_0506_0708, method: 0xAABB_CCDD, sentAt: 0x1112_1314_1516_1718, budget: 0x2122_2324, extensionLength: 5)
        #expect(header.bytes == [
            0x5A, 0xD1, 1, 3, 0, 0, 5, 0,
            8, 7, 6, 5, 4, 3, 2, 1,
            0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
            0xDD, 0xCC, 0xBB, 0xAA,
            0x24, 0x23, 0x22, 0x21,
        ])
    }

    @Test func aResponseCarriesEpochTimesStatusAndDisposition() throws {
        let header = FrameHeader.response(
            callID: 7, epoch: 0xDEAD_BEEF, queued: 11, served: 12, status: .unavailable, disposition: .notExecuted)
        let read = try parse(header.bytes)
        #expect(read == header)
        #expect(read.responseEpoch == 0xDEAD_BEEF && read.queued == 11 && read.served == 12)
        #expect(read.status == .unavailable && read.disposition == .notExecuted)
    }

    @Test func anEventCarriesItsSequenceAndTheOneBefore() throws {
        let read = try parse(FrameHeader.event(sequence: 42, previous: 40, epoch: 9).bytes)
        #expect(read.type == .event && read.id == 42 && read.previousSequence == 40 && read.word24 == 9)
    }

    @Test func randomHeadersSurviveTheWire() throws {
        var generator = SeededGenerator.printed()
        for _ in 0..<10_000 {
            var header = FrameHeader(type: FrameType.allCases.randomElement(using: &generator)!)
            header.flags = UInt16.random(in: 0...0xFF, using: &generator)
            header.id = .random(in: .min ... .max, using: &generator)
            header.word16 = .random(in: .min ... .max, using: &generator)
            header.word24 = .random(in: .min ... .max, using: &generator)
            header.word28 = .random(in: .min ... .max, using: &generator)
            #expect(try parse(header.bytes) == header)
        }
    }

    /// A defect, and the change to a good header that brings it about.
    static let defects: [(FrameHeader.Defect, @Sendable (inout [UInt8]) -> Void)] = [
        (.tooShort, { $0.removeLast() }),
        (.tooShort, { $0 = [] }),
        (.badMagic, { $0[0] = 0 }),
        (.badMagic, { $0 = Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8) }),
        (.unsupportedVersion(0), { $0[2] = 0 }),
        (.unsupportedVersion(255), { $0[2] = 255 }),
        (.unknownType(0), { $0[3] = 0 }),
        (.unknownType(200), { $0[3] = 200 }),
        (.unknownCriticalFlags(0x0100), { $0[5] = 1 }),
        (.badExtensionLength(1), { $0[6] = 1 }),
        (.badExtensionLength(4097), { $0[6] = 0x01; $0[7] = 0x10; $0 += [UInt8](repeating: 0, count: 5000) }),
    ]

    @Test(arguments: defects.indices) func aDefectIsNamed(index: Int) {
        let (defect, change) = Self.defects[index]
        var bytes = FrameHeader(type: .request).bytes
        change(&bytes)
        #expect(throws: defect) { try parse(bytes) }
    }

    @Test func flagsThatMayBeIgnoredAreIgnored() throws {
        var header = FrameHeader(type: .ping)
        header.flags = 0x00FF
        #expect(try parse(header.bytes).flags == 0x00FF)
    }

    @Test func unknownStatusAndDispositionAreTakenForTheSafeOnes() throws {
        var header = FrameHeader(type: .response)
        header.word28 = 0xEEEE
        #expect(header.status == .unknown && header.disposition == .maybe)
    }

    /// Computed with another implementation of FNV-1a.
    @Test(arguments: [
        ("", 0x811C_9DC5), ("a", 0xE40C_292C), ("foobar", 0xBF9C_F968),
    ] as [(String, UInt32)]) func methodIDsAreFNV1a(text: String, hash: UInt32) {
        #expect(MethodID.hash(of: text) == hash)
    }
}

/// A repeatable random number generator, whose seed is printed.
typealias SeededGenerator = SplitMix64

extension SplitMix64 {
    static func printed() -> SplitMix64 {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        return SplitMix64(seed: seed)
    }
}
