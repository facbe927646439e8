public import ProtoShop
import ProtoRuntime
import Protobuf
public import RPC
import RPCClient
import Synchronization

/// The completions that a durable group gets, in order: pushed by the server, and looked up in its log where one is missing.
///
/// A completion is acknowledged when the next one is asked for, so what a consumer has not finished with comes again to the
/// group's next member: delivery is at least once. The feed outlives lost connections and restarts of the server; it ends with
/// an error where trying again cannot help, or where another subscriber took the group; and with the task that reads it.
public struct CompletionFeed: AsyncSequence, Sendable {
    public typealias Element = Orders.Completion
    public typealias Failure = RPCError

    private let invoker: any CallInvoker
    private let subscription: Orders.SubscribeRequest

    /// - Parameters:
    ///   - invoker: a channel to the server; its name is the identity that owns the group.
    ///   - group: name of the group, `Identity.grammar`. It is made where there is none yet.
    ///   - after: where a new group starts: completions with a larger sequence number, or from now on where it is -1.
    public init(_ invoker: any CallInvoker, group: String, filter: Orders.CompletionFilter = .mine, after: Int64 = -1) {
        self.invoker = invoker
        self.subscription = .init(group: group, filter: filter, afterSequence: after)
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(invoker: invoker, subscription: subscription)
    }

    /// Reads the feed for one consumer.
    public struct Iterator: AsyncIteratorProtocol {
        private let client: Orders.OrderService.Client
        private let runtime: Runtime.RuntimeService.Client
        private let subscription: Orders.SubscribeRequest
        private var membership: Membership?
        /// Which server the membership is at: of several, only that one knows it.
        private var server: String?
        /// Epoch of that server.
        private var epoch: UInt32 = 0
        /// The last completion that was handed out, or that the group had dealt with before.
        private var last: Int64 = 0
        private var ready: ArraySlice<Orders.Completion> = []
        private var unacknowledged: Int64?

        /// Between two tries to subscribe.
        private static let pause = Duration.milliseconds(200)
        /// Completions that are looked up at once.
        private static let pageSize: Int32 = 1000

        fileprivate init(invoker: any CallInvoker, subscription: Orders.SubscribeRequest) {
            self.client = Orders.OrderService.Client(invoker)
            self.runtime = Runtime.RuntimeService.Client(invoker)
            self.subscription = subscription
        }

        public mutating func next() async throws(RPCError) -> Orders.Completion? {
            try await next(isolation: nil)
        }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws(RPCError) -> Orders.Completion? {
            if let sequence = unacknowledged {
                await membership?.acknowledge(sequence)
                unacknowledged = nil
            }
            while !Task.isCancelled {
                if let completion = ready.popFirst() {
                    last = completion.sequence
                    unacknowledged = completion.sequence
                    return completion
                }
                do throws(RPCError) {
                    try await receive()
                } catch {
                    guard error.isPassing else { throw error }
                    do { try await Task.sleep(for: Self.pause) } catch { break }
                }
            }
            await membership?.end()
            return nil
        }

        /// Waits for something to happen, and puts what it brought into `ready`.
        nonisolated(nonsending) private mutating func receive() async throws(RPCError) {
            guard let current = membership else {
                let place = Place()
                epoch = try await runtime.stats(.init(), options: .init(onTimings: { place.endpoint = $0.endpoint })).serverEpoch
                server = place.endpoint
                let response = try await client.subscribe(subscription, options: .init(endpoint: server))
                last = Swift.max(last, response.ackedSequence)
                membership = try Membership(response, group: subscription.group, server: server, client: client)
                return
            }
            switch await current.nextSignal() {
            case .event(let event) where event.sequence <= last:
                // Sent again, so its acknowledgement was lost.
                await current.acknowledge(event.sequence)
            case .event(let event) where event.previous > last:
                ready = try await missed(through: event.sequence)
            case .event(let event):
                ready = [try Self.completion(of: event)]
            case .ended:
                // From a server that ended or is away the group is ours to take again; from this one it was taken.
                let isTaken = try await isServerThere()
                await current.end()
                membership = nil
                if isTaken { throw Self.taken }
            }
        }

        /// Whether the server that the membership is at can be reached, and has not been restarted.
        nonisolated(nonsending) private func isServerThere() async throws(RPCError) -> Bool {
            do throws(RPCError) {
                return try await runtime.stats(.init(), options: .init(endpoint: server)).serverEpoch == epoch
            } catch {
                guard error.code == .unavailable else { throw error }
                return false
            }
        }

        /// What the log holds after the last completion, up to a sequence number.
        nonisolated(nonsending) private func missed(through end: Int64) async throws(RPCError) -> ArraySlice<Orders.Completion> {
            var found: [Orders.Completion] = []
            var position = last
            while position < end {
                let page = try await client.listCompletions(
                    .init(afterSequence: position, filter: subscription.filter, maxCount: Self.pageSize))
                found += page.completions.filter { $0.sequence <= end }
                guard page.lastSequence > position else { break }
                position = page.lastSequence
            }
            return found[...]
        }

        private static let taken = RPCError(
            .aborted, reason: "MEMBERSHIP_TAKEN", "another subscriber became the member of this group; a group has one at a time")

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
        // A channel that its owner has closed stays closed.
        reason != "CHANNEL_CLOSED" && [.unavailable, .deadlineExceeded, .resourceExhausted, .cancelled].contains(code)
    }
}
