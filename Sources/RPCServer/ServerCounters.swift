import Synchronization

/// Why a call was refused before a handler saw it.
enum RefusalReason: String, CaseIterable {
    case sessionUnknown = "SESSION_UNKNOWN"
    case methodNotFound = "METHOD_NOT_FOUND"
    case messageTooLarge = "MESSAGE_TOO_LARGE"
    case tooManyInFlight = "TOO_MANY_IN_FLIGHT"
    case queueFull = "QUEUE_FULL"
    case shuttingDown = "SHUTTING_DOWN"
    case expiredOnArrival = "DEADLINE_EXCEEDED"
    case duplicateCallID = "DUPLICATE_CALL_ID"
    case malformedHeader = "MALFORMED_HEADER"
    case metadataTooLarge = "METADATA_TOO_LARGE"
}

/// Why a frame or an answer ended without anybody being told.
enum DropReason: String, CaseIterable {
    /// Not two frames, or not this protocol's magic.
    case foreignMessage = "FOREIGN_MESSAGE"
    /// The peer of an answer is gone.
    case peerGone = "PEER_GONE"
    /// The peer does not read, and its pipe is full.
    case peerFull = "PEER_FULL"
}

/// Where it was found that a call's time was over: the `place` of DEADLINE_EXCEEDED.
enum ExpiryPlace: String, CaseIterable {
    /// On arrival, by the frontend: it had waited too long on its way, or in a server that did not run.
    case arrival
    /// While it waited for a worker, by the frontend.
    case queue
    /// By the worker that took it: nothing is left, or less than such calls need.
    case gathering
    /// While its handler ran, by the frontend, which does not wait for handlers.
    case handler
    /// By its handler, before a command to the database, or by the database itself.
    case database
    /// When the handler had decided: the response is not encoded.
    case encoding
}

/// What happened to a connection.
enum ConnectionEvent: String, CaseIterable {
    case accepted = "ACCEPTED"
    /// The peer speaks ZMTP, and may speak with a ROUTER. What was accepted and never comes here is a stranger.
    case handshakeSucceeded = "HANDSHAKE_SUCCEEDED"
    /// A stranger, where libzmq says so: some it just disconnects.
    case handshakeFailed = "HANDSHAKE_FAILED"
    case authenticationFailed = "AUTHENTICATION_FAILED"
    case disconnected = "DISCONNECTED"
}

/// What a server counted since its start. Written by the frontend thread, where it does not say otherwise; read by any.
///
/// received = answered + refused + dropped + in flight. Each message that is received is counted as one of these in the
/// same place where its fate is decided: `refuse`, `respond`, `dropForeign` and `close` are all there are.
final class ServerCounters: Sendable {
    let received = Counter()
    let answered = Counter()
    let refused = CounterTable<RefusalReason>()
    let dropped = CounterTable<DropReason>()
    /// Not part of the sum: at arrival they are refused, later answered or dropped.
    let expired = CounterTable<ExpiryPlace>()
    /// Counted by a thread of their own.
    let connections = CounterTable<ConnectionEvent>()
    let inFlight = Counter()
    let sessions = Counter()
    /// Answers that came after the deadline had answered for them: not part of the sum above.
    let late = Counter()
}

/// A number that one thread changes and any may read.
final class Counter: Sendable {
    private let value = Atomic<Int>(0)

    func add(_ count: Int = 1) { value.add(count, ordering: .relaxed) }
    func set(_ count: Int) { value.store(count, ordering: .relaxed) }
    var count: Int { value.load(ordering: .relaxed) }
}

/// A counter for each case of an enumeration.
final class CounterTable<Key: RawRepresentable & CaseIterable & Hashable & Sendable>: Sendable where Key.RawValue == String {
    private let counts = Mutex<[Key: Int]>([:])

    func add(_ key: Key) { counts.withLock { $0[key, default: 0] += 1 } }

    /// The counts by name, without those that are zero.
    var byName: [String: Int64] {
        counts.withLock { Dictionary(uniqueKeysWithValues: $0.map { ($0.key.rawValue, Int64($0.value)) }) }
    }
}
