import MongoDB
import ProtoShop
import Protobuf
import Synchronization

/// Answered pages, for as long as nothing at all is written to the database: then each of them is, to the byte, what it would answer again.
///
/// What is read after a quiet time and remembered under it, is right for a call at whose own quiet time the same is told: between the
/// two nothing was written, be it by this server or by others. The call has asked for that time after its arrival, so it gets what
/// it would have read itself. With a write in between all that was known is forgotten.
///
/// A page that is asked for once is not worth it: what is kept is the memory that the next page would have been written to, still warm. So
/// the first answer to a request leaves only a trace, and one that finds such a trace is remembered.
final class PageMemory: Sendable {
    typealias Answer = EncodedMessage<Catalog.ListProductsResponse>

    private struct State {
        var quietTime: ClusterTime?
        var answers: [Identity: Answer] = [:]
        var bytes = 0
        /// Of requests that were answered lately, as long as no other one's trace takes the place.
        var traces = [Int](repeating: 0, count: Limits.tracesOfPages)

        /// Whether the request has left its trace; else it does now.
        mutating func isAskedAgain(_ request: Identity) -> Bool {
            let hash = request.hashValue
            let place = Int(UInt(bitPattern: hash) % UInt(traces.count))
            defer { traces[place] = hash }
            return traces[place] == hash
        }

        mutating func forgetAll() {
            answers.removeAll(keepingCapacity: true)
            bytes = 0
        }
    }

    private let state = Mutex(State())

    /// Bytes of all answers that are remembered.
    var byteCount: Int { state.withLock { $0.bytes } }

    /// What was answered, if nothing was written since. Nil where that is not known.
    func answer(to request: PageRequest, at quietTime: ClusterTime?) -> Answer? {
        guard let quietTime else { return nil }
        return state.withLock { $0.quietTime == quietTime ? $0.answers[Identity(request)] : nil }
    }

    /// Remembers the answer to a request that was answered before, too.
    ///
    /// - Parameter quietTime: of a reply that had come before the answer was read.
    func remember(_ answer: Answer, to request: PageRequest, at quietTime: ClusterTime?) {
        guard let quietTime, answer.byteCount <= Limits.maxRememberedPageBytes / 8 else { return }
        let request = Identity(request)
        state.withLock { state in
            guard state.isAskedAgain(request) else { return }
            if state.quietTime != quietTime {
                state.quietTime = quietTime
                state.forgetAll()
            } else if state.bytes + answer.byteCount > Limits.maxRememberedPageBytes {
                // What many ask for is soon back.
                state.forgetAll()
            }
            guard state.answers.updateValue(answer, forKey: request) == nil else { return }
            state.bytes += answer.byteCount
        }
    }
}

/// A request by its bytes: strings of Swift are equal where their Unicode text is, and those of the database are not.
private struct Identity: Hashable {
    private let bytes: [UInt8]

    init(_ request: PageRequest) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(2 * ProductList.typicalIdentityLength)
        request.list.appendIdentity(to: &bytes)
        bytes.append(bigEndian: request.size)
        bytes.append(bigEndian: Int64(request.totalMode.rawValue))
        switch request.start {
        case .number(let number):
            bytes.append(bigEndian: number)
        case .after(let position):
            // No page has this number.
            bytes.append(bigEndian: -1)
            bytes.append(bigEndian: position.rank?.count ?? -1)
            bytes.append(bigEndian: position.rank?.stamp.value ?? -1)
            bytes.append(text: position.key)
        }
        self.bytes = bytes
    }

    func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }
}
