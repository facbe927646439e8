/// What is fuzzed.
enum Target: String, CaseIterable, Sendable {
    /// The first 32 bytes of every message.
    case header
    /// The TLVs after them.
    case tlvs
    /// Protobuf's binary form: the first byte chooses a message type, the others are a message.
    case decode
    /// ProtoJSON: likewise.
    case json

    /// Holds the target's properties against an input.
    func check(_ input: UnsafeRawBufferPointer) {
        switch self {
        case .header: checkHeader(input)
        case .tlvs: checkTLVs(input)
        case .decode: checkDecoding(input)
        case .json: checkJSON(input)
        }
    }

    /// Inputs to begin with.
    var seeds: [[UInt8]] {
        switch self {
        case .header: headerSeeds
        case .tlvs: tlvSeeds
        case .decode: FuzzedMessage.all.enumerated().flatMap { index, message in message.binarySeeds.map { [UInt8(index)] + $0 } }
        case .json: FuzzedMessage.all.enumerated().flatMap { index, message in message.jsonSeeds.map { [UInt8(index)] + $0 } }
        }
    }
}

/// The target of this run: libFuzzer's callback carries no context. Set before it starts.
nonisolated(unsafe) var chosen: Target?
