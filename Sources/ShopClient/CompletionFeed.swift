public import ProtoShop
import Protobuf
public import RPC
import RPCClient
import Synchronization

/// The completions that a durable group gets, shared out among the feeds that are its members, wherever they run: each goes to one of
/// them, in order where there is one.
///
/// A completion is acknowledged when the next one is asked for, so what a consumer has not finished with comes again, to another member
/// or to the group's next one: delivery is at least once. A slow or stopped consumer holds up nobody else: what it does not
/// acknowledge in time goes to others. The feed outlives lost connections and restarts of the server, goes on at another one where
/// its channel knows several, and hands out nothing twice that it was done with. It ends with an error where trying again cannot
/// help; with the task that reads it; and when it is let go.
public struct CompletionFeed: AsyncSequence, Sendable {
    public typealias Element = Orders.Completion
    public typealias Failure = RPCError

    private let invoker: any CallInvoker
    private let subscription: Orders.SubscribeRequest

    /// - Parameters:
    ///   - invoker: a channel to the server; its name is the identity that owns the group.
    ///   - group: name of the group, `Identity.grammar`. It is made where there is none yet.
    ///   - after: where a new group starts: completions with a larger sequence number, or from now on where it is -1.
    ///   - skipsExpired: goes on after completions that were removed before the group got them. Otherwise the feed then ends with
    ///     OUT_OF_RANGE, COMPLETIONS_EXPIRED.
    public init(
        _ invoker: any CallInvoker, group: String, filter: Orders.CompletionFilter = .mine, after: Int64 = -1,
        skipsExpired: Bool = false
    ) {
        self.invoker = invoker
        self.subscription = .init(group: group, filter: filter, afterSequence: after, skipExpired: skipsExpired)
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(invoker: invoker, subscription: subscription)
    }

    /// Reads the feed for one consumer.
    public struct Iterator: AsyncIteratorProtocol {
        private let client: Orders.OrderService.Client
        private let subscription: Orders.SubscribeRequest
        private var membership: Membership?
        private var memory = HandledCompletions()
        /// What was handed out last, until the next one is asked for.
        private var inHand: Int64?
        /// Acknowledgements that no server has taken yet.
        private var owed: [Int64] = []

        /// Between two tries to subscribe.
        private static let pause = Duration.milliseconds(200)

        fileprivate init(invoker: any CallInvoker, subscription: Orders.SubscribeRequest) {
            self.client = Orders.OrderService.Client(invoker)
            self.subscription = subscription
        }

        public mutating func next() async throws(RPCError) -> Orders.Completion? {
            try await next(isolation: nil)
        }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws(RPCError) -> Orders.Completion? {
            await acknowledgeInHand()
            while !Task.isCancelled {
                do throws(RPCError) {
                    if let completion = try await receive() {
                        inHand = completion.sequence
                        return completion
                    }
                } catch {
                    guard error.isPassing else { throw error }
                    do { try await Task.sleep(for: Self.pause) } catch { break }
                }
            }
            await leave()
            return nil
        }

        /// Acknowledges what was handed out last, waits until the server has that, and leaves the group. A feed that is let go instead
        /// leaves the group as well, and its last completion comes again.
        public mutating func finish() async {
            await acknowledgeInHand()
            await leave()
        }

        nonisolated(nonsending) private mutating func acknowledgeInHand() async {
            guard let sequence = inHand else { return }
            inHand = nil
            memory.insert(sequence)
            if let membership {
                memory.lowMark = await membership.acknowledge(sequence)
            } else {
                owed.append(sequence)
            }
        }

        nonisolated(nonsending) private mutating func leave() async {
            guard let left = membership else { return }
            membership = nil
            owed = await left.end()
        }

        /// Waits for something to happen. Returns the completion, if it was one to hand out.
        nonisolated(nonsending) private mutating func receive() async throws(RPCError) -> Orders.Completion? {
            guard let current = membership else {
                try await subscribe()
                return nil
            }
            switch await current.nextSignal() {
            // The server knows what is missing, and sends it again to the next membership.
            case .ended: await leave()
            case .event(let event) where event.isAfterLoss: await leave()
            case .event(let event) where event.isHeartbeat: break
            case .event(let event) where memory.contains(event.sequence):
                // Sent again, so its acknowledgement was lost, or came too late.
                _ = await current.acknowledge(event.sequence)
            case .event(let event): return try Self.completion(of: event)
            }
            return nil
        }

        nonisolated(nonsending) private mutating func subscribe() async throws(RPCError) {
            // Of several servers, only the one that answers knows the membership.
            let place = Place()
            let response = try await client.subscribe(subscription, options: .init(onTimings: { place.endpoint = $0.endpoint }))
            memory.lowMark = response.ackedSequence
            let membership = try Membership(
                response, group: subscription.group, server: place.endpoint, client: client, owed: owed)
            owed = []
            await membership.start()
            self.membership = membership
        }

        private static func completion(of event: Event) throws(RPCError) -> Orders.Completion {
            do throws(DecodingError) {
                return try Orders.Completion(serializedBytes: event.payload)
            } catch {
                throw RPCError(
                    .internalError, reason: "MALFORMED_EVENT", "event \(event.sequence) is no completion: \(error.field): \(error.reason)")
            }
        }
    }
}

/// The completions that a feed is done with, as far as they can come again.
private struct HandledCompletions {
    /// Everything up to here is acknowledged, by whatever member: it cannot come any more, unless a server lost the mark.
    var lowMark: Int64 = 0 {
        didSet { lowMark = max(lowMark, oldValue) }
    }

    private var above: Set<Int64> = []
    private var tidyAt = HandledCompletions.fewest

    /// Not tidied up below this number.
    private static let fewest = 1024
    /// More are forgotten: a member that holds up the mark for so long costs others repetitions, not memory.
    private static let most = 1_000_000

    mutating func insert(_ sequence: Int64) {
        above.insert(sequence)
        guard above.count >= tidyAt else { return }
        above = above.count > Self.most ? [] : above.filter { $0 > lowMark }
        tidyAt = max(Self.fewest, 2 * above.count)
    }

    func contains(_ sequence: Int64) -> Bool { sequence <= lowMark || above.contains(sequence) }
}

/// Takes the answer to where a call went.
private final class Place: Sendable {
    private let storage = Mutex<String?>(nil)

    var endpoint: String? {
        get { storage.withLock { $0 } }
        set { storage.withLock { $0 = newValue } }
    }
}

extension RPCError {
    /// Whether trying again can help.
    var isPassing: Bool {
        // A channel that its owner has closed stays closed. A group is at one server, which may be the next one that is asked.
        reason != "CHANNEL_CLOSED"
            && ([.unavailable, .deadlineExceeded, .resourceExhausted, .cancelled].contains(code) || reason == "GROUP_ELSEWHERE")
    }
}
