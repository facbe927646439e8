import DequeModule
import Glibc
public import RPC
import Synchronization
import ZeroMQ

/// Where event channels are opened.
public struct EventEndpoints: Sendable {
    /// Address to listen on, as in "127.0.0.1".
    public var host: String
    /// Ports to take, one a member. Below 32768: see `ServerConfiguration.listen`.
    public var ports: ClosedRange<UInt16>
    /// Host name that members are told, where it differs from `host`: behind a container's port mapping.
    public var advertisedHost: String?

    public init(host: String = "127.0.0.1", ports: ClosedRange<UInt16> = 7400...7655, advertisedHost: String? = nil) {
        self.host = host
        self.ports = ports
        self.advertisedHost = advertisedHost
    }
}

/// Pushes events to members, each over a PUSH socket of its own: a slow member delays nobody but itself, and the server
/// knows what each one was sent.
///
/// A channel is a hint, not a store: what is on its way to a member that dies is lost. Whoever publishes keeps the truth
/// elsewhere and sends again. A member proves itself by a PLAIN login, its id and token; strangers get nothing.
/// All members of this class may be used by any thread. Events of one member leave in the order of their publishing.
public final class EventPublisher: Sendable {
    private let commands = Mailbox<Command>()
    private let thread: SocketThread
    private let shared: SharedMembers
    private let isClosed = Atomic<Bool>(false)

    /// Events that may wait for one member: more are refused, and sent later from the truth.
    public static let maxPending = 10_000
    /// Events in the pipe to a member that has not read them. One that leaves more unread is taken for gone, so who publishes should keep to
    /// half of it ahead of what the member has confirmed: libzmq's count may be behind by that.
    public static let highWaterMark = 4096

    /// Told whether a member can be reached. From the publisher's thread, which it must not hold up.
    public typealias ConnectionHandler = @Sendable (_ isConnected: Bool) -> Void

    enum Command: Sendable {
        case open(member: String, token: String, ConnectionHandler, reply: OpenReply)
        case publish(member: String, sequence: UInt64, payload: [UInt8])
        case close(member: String)
        case stop
    }

    /// A publisher that opens channels on `endpoints`.
    ///
    /// - Parameters:
    ///   - epoch: `ServerConfiguration.epoch` of the server it belongs to, told with each event.
    ///   - heartbeatInterval: a member that was sent nothing for so long is told that nothing is missing.
    public init(
        endpoints: EventEndpoints, epoch: UInt32 = .random(in: 1 ... .max), heartbeatInterval: Duration = .seconds(1)
    ) {
        let shared = SharedMembers()
        self.shared = shared
        // The handler has to be there before the first socket that asks it.
        let authenticator = Authenticator.shared
        thread = SocketThread(name: "events") { [commands] in
            EventLoop(
                endpoints: endpoints, epoch: epoch, heartbeatInterval: heartbeatInterval, commands: commands, shared: shared,
                authenticator: authenticator
            ).run()
        }
    }

    deinit { close() }

    /// Opens a member's channel, and returns the endpoint to connect a PULL socket to.
    ///
    /// - Parameter onConnection: told when the member has connected, and when its connection is over and what was on its way is lost,
    ///   within a fraction of a second. The channel stays open for its return until it is closed.
    /// - Throws: RESOURCE_EXHAUSTED where all ports are taken.
    public func open(
        member: String, token: String, onConnection: @escaping ConnectionHandler = { _ in }
    ) throws(RPCError) -> String {
        let reply = OpenReply()
        // A closed mailbox takes nothing: nobody would answer.
        guard commands.post(.open(member: member, token: token, onConnection, reply: reply)) else { throw Self.closed }
        return try reply.wait().get()
    }

    /// Hands over an event; false where the member has no channel or `maxPending` events wait for it.
    public func publish(to member: String, sequence: Int64, payload: [UInt8]) -> Bool {
        guard shared.reserve(member, limit: Self.maxPending) else { return false }
        return commands.post(.publish(member: member, sequence: UInt64(bitPattern: sequence), payload: payload))
    }

    /// Events that were handed over and have not left.
    public func pending(of member: String) -> Int { shared.pending(of: member) }

    /// Closes a member's channel; what waits for it is let go.
    public func close(member: String) { commands.post(.close(member: member)) }

    /// Closes all channels and ends the thread.
    public func close() {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        commands.post(.stop)
        thread.join()
    }

    static let closed = RPCError(.unavailable, reason: "SHUTTING_DOWN", "the event channels are closed", disposition: .notExecuted)
}

/// The endpoint of a new channel, on its way to who asked for it.
final class OpenReply: Sendable {
    private let semaphore = Semaphore()
    private let result = Mutex<Result<String, RPCError>>(.failure(EventPublisher.closed))

    func answer(_ result: Result<String, RPCError>) {
        self.result.withLock { $0 = result }
        semaphore.signal()
    }

    func wait() -> Result<String, RPCError> {
        semaphore.wait()
        return result.withLock { $0 }
    }
}

/// How many events wait for whom.
final class SharedMembers: Sendable {
    private let pending = Mutex<[String: Int]>([:])

    /// Adds a member, or lets go of the `dropped` events that waited in its former channel.
    func add(_ member: String, dropped: Int) {
        // Others may have been handed over since the channel was asked for: they stay counted.
        pending.withLock { $0[member] = max(0, ($0[member] ?? 0) - dropped) }
    }

    func remove(_ member: String) { pending.withLock { $0[member] = nil } }
    func removeAll() { pending.withLock { $0 = [:] } }
    func pending(of member: String) -> Int { pending.withLock { $0[member] ?? 0 } }

    /// Counts one more; false where there is no such member or it has `limit` already.
    func reserve(_ member: String, limit: Int) -> Bool {
        pending.withLock { pending in
            guard let count = pending[member], count < limit else { return false }
            pending[member] = count + 1
            return true
        }
    }

    func didSend(_ count: Int, to member: String) {
        pending.withLock { pending in
            // An event may outlive the count of a channel that was closed and opened again meanwhile.
            if let before = pending[member] { pending[member] = max(0, before - count) }
        }
    }
}
