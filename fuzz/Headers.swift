import RPC

// MARK: - Header

/// Whatever is accepted is written again as it was read, and nothing is accepted that docs/wire-protocol.md refuses.
func checkHeader(_ input: UnsafeRawBufferPointer) {
    let bytes = Array(input)
    do throws(FrameHeader.Defect) {
        let header = try FrameHeader(input)
        require(isAcceptable(bytes), "a header is accepted only where each of its fields is acceptable")
        require(header.bytes == Array(bytes[..<FrameHeader.size]), "a header is written as it was read")
        require(FrameHeader.size + Int(header.extensionLength) <= bytes.count, "TLVs lie within the frame")
        // What the words mean has a value for every number.
        _ = (header.status, header.disposition, header.queued, header.responseEpoch)
    } catch {
        require(!isAcceptable(bytes), "an acceptable header is accepted, and not refused as \(error)")
        require(error.isAnswerable || bytes.count < 32 || bytes[0] != 0x5A || bytes[1] != 0xD1, "who speaks the protocol is answered")
    }
}

/// The wire document's rules, said a second time and in another way.
private func isAcceptable(_ bytes: [UInt8]) -> Bool {
    guard bytes.count >= 32, bytes[0] == 0x5A, bytes[1] == 0xD1, bytes[2] == 1, (1...12).contains(bytes[3]), bytes[5] == 0 else { return false }
    let length = Int(bytes[6]) + 256 * Int(bytes[7])
    return length <= 4096 && 32 + length <= bytes.count
}

var headerSeeds: [[UInt8]] {
    let response = FrameHeader.response(callID: 7, epoch: 9, queued: 11, served: 12, status: .unavailable, disposition: .notExecuted)
    let request = FrameHeader.request(callID: 1, method: 0xAABB_CCDD, sentAt: 5, budget: 1_000_000, extensionLength: 8)
    return [response.bytes, request.bytes + [1, 0, 4, 0, 48, 48, 45, 49], FrameHeader.event(sequence: 3, previous: 2, epoch: 1).bytes]
        + FrameType.allCases.map { FrameHeader(type: $0).bytes }
}

// MARK: - TLVs

/// What is accepted is no more than its bytes can hold, and its encoding says the same.
func checkTLVs(_ input: UnsafeRawBufferPointer) {
    do throws(HeaderExtension.Defect) {
        let read = try HeaderExtension(input)
        require((read.metadata.count + read.skippedCount) * 4 <= input.count, "each TLV has at least four bytes")
        require(read.metadata.allSatisfy { (1...255).contains($0.key.utf8.count) }, "a key has 1 to 255 bytes")
        let content = read.metadata.reduce(read.traceparent?.utf8.count ?? 0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        require(content <= input.count, "there is no more text than bytes")
        guard let written = read.encoded() else {
            return require(input.count > FrameHeader.maxExtensionLength, "what was read within the limit can be written")
        }
        checkAgain(read, written)
    } catch {
        // Refused: the frontend says so, and reads no further.
    }
}

private func checkAgain(_ read: HeaderExtension, _ written: [UInt8]) {
    do throws(HeaderExtension.Defect) {
        let again = try written.span.bytes.withUnsafeBytes { (bytes) throws(HeaderExtension.Defect) in try HeaderExtension(bytes) }
        require(again.traceparent == read.traceparent && again.timings == read.timings, "traceparent and timings survive")
        require(again.metadata.elementsEqual(read.metadata, by: ==), "pairs survive, in their order")
        require(again.encoded() == written, "what was written once is written so again")
    } catch {
        broken("what was written can be read: \(error)")
    }
}

var tlvSeeds: [[UInt8]] {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    let written = [
        HeaderExtension(traceparent: trace), HeaderExtension(metadata: [("tenant", "blue"), ("empty", ""), ("größe", "ß")]),
        HeaderExtension(timings: StageTimings()), HeaderExtension(traceparent: trace, metadata: [("k", "v")], timings: StageTimings()),
    ].compactMap { $0.encoded() }
    return written + [[99, 0, 2, 0, 1, 2, 98, 0, 0, 0], [99, 1, 0, 0], [1, 0, 255, 255, 0], [2, 0, 2, 0, 9, 65]]
}
