import RPC
import Synchronization

/// The servers of a channel, and the choice among them. With one server there is nothing to choose, and nothing is counted.
final class SubchannelList: Sendable {
    private let all: [Subchannel]
    private let seed = Atomic<UInt64>(.random(in: .min ... .max))

    init(_ endpoints: [String]) { all = endpoints.map(Subchannel.init) }

    var indices: Range<Int> { all.indices }

    subscript(index: Int) -> Subchannel { all[index] }

    /// All but one.
    func others(than index: Int) -> [Subchannel] { indices.filter { $0 != index }.map { all[$0] } }

    /// The server of this name; nil where the channel has none.
    func index(of endpoint: String) -> Int? { all.firstIndex { $0.endpoint == endpoint } }

    /// The server for a try; nil where the call has failed before and none that could be asked allows retries.
    func pick(for retry: Retry? = nil, at now: MonotonicTime) -> Int? {
        if all.count == 1 { return retry == nil || all[0].allowsRetries ? 0 : nil }
        var random = random
        return Picker.choose(
            among: all.count, avoiding: retry?.server, isRetry: retry?.needsBudget ?? false, random: &random
        ) { all[$0].candidate(at: now) }
    }

    /// What a pick has to know of the try before.
    struct Retry {
        /// Where it failed.
        var server: Int
        /// It counts as a failure of that server.
        var needsBudget: Bool
    }

    /// A generator with a seed of its own.
    var random: SplitMix64 { SplitMix64(seed: seed.wrappingAdd(SplitMix64.step, ordering: .relaxed).newValue) }

    /// Posts a try; false where the channel is closed.
    func post(_ attempt: CallAttempt, to index: Int) -> Bool { all[index].post(attempt, isCounted: all.count > 1) }
}
