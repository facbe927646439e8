import ProtoShop
import RPC
import RPCClient

/// One membership of a group: its event channel, its acknowledgements, and a watch over whether the server still knows it.
///
/// An event channel that goes silent looks like one with nothing to say. So the membership asks now and then, with an
/// acknowledgement that may be empty, and ends when the server does not know it any more, as after a restart, or is away.
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
    private var waiting: [Int64] = []
    private var isSending = false

    /// The API's limit for one call.
    private static let mostInACall = 10_000
    /// Between two questions whether the membership is alive: what a restart of the server costs a subscriber at most.
    private static let interval = Duration.seconds(1)

    /// - Parameter server: the one of several that knows it.
    init(
        _ response: Orders.SubscribeResponse, group: String, server: String?, client: Orders.OrderService.Client
    ) throws(RPCError) {
        self.client = client
        self.group = group
        self.memberID = response.memberId
        self.options = CallOptions(endpoint: server)
        (signals, continuation) = AsyncStream.makeStream(of: Signal.self)
        stream = try EventStream(endpoint: response.endpoint, memberID: response.memberId, token: response.token)
    }

    /// The next thing that happens. For one reader.
    nonisolated func nextSignal() async -> Signal {
        await start()
        var iterator = signals.makeAsyncIterator()
        return await iterator.next() ?? .ended
    }

    private func start() {
        guard tasks.isEmpty else { return }
        tasks = [
            Task { [stream, continuation] in
                for await event in stream { continuation.yield(.event(event)) }
            },
            Task {
                while !Task.isCancelled {
                    do { try await Task.sleep(for: Self.interval) } catch { return }
                    await send()
                }
            },
        ]
    }

    /// Takes a sequence number and returns at once. While a call is on its way, more of them gather for the next one.
    func acknowledge(_ sequence: Int64) {
        waiting.append(sequence)
        if !isSending { Task { await send() } }
    }

    /// Sends what waits, or an empty acknowledgement where nothing does. Losing one does no harm: the event is sent again.
    private func send() async {
        if isSending { return }
        isSending = true
        repeat {
            let sequences = Array(waiting.prefix(Self.mostInACall))
            waiting.removeFirst(sequences.count)
            do throws(RPCError) {
                _ = try await client.ackCompletions(.init(group: group, memberId: memberID, sequences: sequences), options: options)
            } catch {
                // Where the server is away, another may be there.
                if !error.isPassing || error.reason == "SERVER_UNREACHABLE" { continuation.yield(.ended) }
                break
            }
        } while !waiting.isEmpty
        isSending = false
    }

    /// Acknowledges what waits, and closes the channel.
    func end() async {
        for task in tasks { task.cancel() }
        if !waiting.isEmpty { await send() }
        stream.close()
        continuation.finish()
    }
}
