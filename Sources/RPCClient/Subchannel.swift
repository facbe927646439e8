import RPC
import Synchronization
import ZeroMQ

/// A server of a channel, as calling tasks and the channel's other connections see it: where calls for it are posted, and how it stands.
///
/// Its connection thread writes how it stands; everybody else only reads, without a lock. What is read may be a moment old: a
/// connection that cannot send what it was posted hands it over.
final class Subchannel: Sendable {
    let endpoint: String
    let commands = Mailbox<ConnectionCommand>()

    /// Calls that were posted here. Added to by calling tasks.
    private let posted = Atomic<Int>(0)
    /// Of these, how many are here no more.
    private let done = Atomic<Int>(0)
    /// Other clients' calls that wait at the server, as its last PONG said.
    private let reported = Atomic<Int>(0)
    private let standing = Atomic<UInt8>(Standing.away.rawValue)
    private let restsUntil = Atomic<UInt64>(0)
    private let retries = Atomic<Bool>(true)

    init(endpoint: String) { self.endpoint = endpoint }

    // MARK: Calling tasks

    /// Hands a try to the connection thread; false where the channel is closed.
    func post(_ attempt: CallAttempt, isCounted: Bool) -> Bool {
        if isCounted { posted.wrappingAdd(1, ordering: .relaxed) }
        return commands.post(.start(attempt))
    }

    var allowsRetries: Bool { retries.load(ordering: .relaxed) }

    /// Its session is open, and nothing speaks against sending calls there.
    var isReady: Bool { standing.load(ordering: .acquiring) == Standing.ready.rawValue }

    /// It says that it does not want this client.
    var isRefusing: Bool { standing.load(ordering: .acquiring) == Standing.refusing.rawValue }

    func candidate(at now: MonotonicTime) -> Candidate {
        var known = Standing(rawValue: standing.load(ordering: .acquiring)) ?? .away
        if known == .ready && now.nanoseconds < restsUntil.load(ordering: .relaxed) { known = .resting }
        let own = max(0, posted.load(ordering: .relaxed) &- done.load(ordering: .relaxed))
        // What others have there is old news, so it weighs at most as much as what is known for sure: else a server that
        // once was busy would get nothing until it said otherwise.
        let load = own + min(reported.load(ordering: .relaxed), own + 1)
        return Candidate(standing: known, load: load, allowsRetries: allowsRetries)
    }

    // MARK: The connection thread

    func tell(_ standing: Standing) { self.standing.store(standing.rawValue, ordering: .releasing) }

    func tell(done count: Int) { done.store(count, ordering: .relaxed) }

    func tell(reported count: Int) { reported.store(count, ordering: .relaxed) }

    func tell(restsUntil time: MonotonicTime) { restsUntil.store(time.nanoseconds, ordering: .relaxed) }

    func tell(allowsRetries: Bool) { retries.store(allowsRetries, ordering: .relaxed) }
}
