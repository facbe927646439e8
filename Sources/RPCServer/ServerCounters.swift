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

/// What a server counted since its start. Written by the frontend thread; read by any.
///
/// received = answered + refused + dropped + in flight.
final class ServerCounters: Sendable {
    let received = Counter()
    let answered = Counter()
    let refused = CounterTable<RefusalReason>()
    let dropped = CounterTable<DropReason>()
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
