import ProtoShop
import RPC
import RPCClient
import Synchronization

/// One membership of a group: its event channel, its acknowledgements, and a watch over whether the server still knows it.
///
/// An event channel that goes silent looks like one with nothing to say. So the membership asks now and then, with an
/// acknowledgement that may be empty, which also tells the server that this side lives. It ends when the server does not know it
/// any more, as after a restart, or is away, or its channel has no more heartbeats. Letting go of it leaves the group.
actor Membership {
    enum Signal: Sendable {
        case event(Event)
        /// Subscribe again.
        case ended
    }

    private let client: Orders.OrderService.Client
    private let group: String
    private let memberID: String
    private let options: CallOptions
    private let stream: EventStream
    private let signals: AsyncStream<Signal>
    private let continuation: AsyncStream<Signal>.Continuation
    private var tasks: [Task<Void, Never>] = []
    private var waiting: [Int64]
    private var lowMark: Int64
    private var sending: Task<Void, Never>?
    /// When the channel was last heard from; nil before its first heartbeat, as servers need not send any.
    private let heartbeatAt = Mutex<MonotonicTime?>(nil)

    /// The API's limit for one call.
    private static let mostInACall = 10_000
    /// Between two signs of life: what a restart of the server costs a subscriber at most.
    private static let interval = Duration.seconds(1)
    /// A channel that had heartbeats and has been without for so long is dead, whatever TCP believes.
    private static let silence = Duration.seconds(5)

    /// - Parameters:
    ///   - server: the one of several that knows it.
    ///   - owed: acknowledgements of events that came through a former membership.
    init(
        _ response: Orders.SubscribeResponse, group: String, server: String?, client: Orders.OrderService.Client, owed: [Int64]
    ) throws(RPCError) {
        self.client = client
        self.group = group
        self.memberID = response.memberId
        self.options = CallOptions(endpoint: server)
        waiting = owed
        lowMark = response.ackedSequence
        (signals, continuation) = AsyncStream.makeStream(of: Signal.self)
        stream = try EventStream(endpoint: response.endpoint, memberID: response.memberId, token: response.token)
    }

    deinit {
        for task in tasks { task.cancel() }
        stream.close()
        continuation.finish()
    }

    /// The next thing that happens, after `start`. For one reader.
    nonisolated func nextSignal() async -> Signal {
        var iterator = signals.makeAsyncIterator()
        return await iterator.next() ?? .ended
    }

    /// Begins to listen. Once.
    func start() {
        // They do not keep it: who forgets a membership has left the group.
        tasks = [
            Task { [stream, weak self] in
                for await event in stream { self?.take(event) }
            },
            Task { [weak self] in
                while !Task.isCancelled {
                    do { try await Task.sleep(for: Self.interval) } catch { return }
                    await self?.showLife()
                }
            },
        ]
    }

    private nonisolated func take(_ event: Event) {
        heartbeatAt.withLock { if event.isHeartbeat || $0 != nil { $0 = .now } }
        continuation.yield(.event(event))
    }

    private func showLife() {
        if let heartbeatAt = heartbeatAt.withLock({ $0 }), heartbeatAt.advanced(by: Self.silence) <= .now { continuation.yield(.ended) }
        send()
    }

    /// Takes a sequence number and returns at once, with the group's low mark as far as it is known. While a call is on its way, more
    /// of them gather for the next one.
    func acknowledge(_ sequence: Int64) -> Int64 {
        waiting.append(sequence)
        send()
        return lowMark
    }

    /// Sends what waits, or an empty acknowledgement where nothing does, unless it is being done.
    private func send() {
        if sending == nil { sending = Task { await sendAll() } }
    }

    private func sendAll() async {
        repeat {
            let sequences = Array(waiting.prefix(Self.mostInACall))
            waiting.removeFirst(sequences.count)
            do throws(RPCError) {
                let response = try await client.ackCompletions(
                    .init(group: group, memberId: memberID, sequences: sequences), options: options)
                lowMark = max(lowMark, response.ackedSequence)
            } catch {
                waiting.insert(contentsOf: sequences, at: 0)
                // Where the server is away, another may be there.
                if !error.isPassing || error.reason == "SERVER_UNREACHABLE" { continuation.yield(.ended) }
                break
            }
        } while !waiting.isEmpty
        sending = nil
    }

    /// Acknowledges what waits, and closes the channel. Returns what the server did not take.
    func end() async -> [Int64] {
        for task in tasks { task.cancel() }
        await sending?.value
        if !waiting.isEmpty {
            send()
            await sending?.value
        }
        stream.close()
        continuation.finish()
        return waiting
    }
}
