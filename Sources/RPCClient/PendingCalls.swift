import DequeModule
import RPC

/// The calls at a connection that have no outcome yet: those that wait to be sent, and those in flight.
///
/// A call id is a place in the table (16 bits) and a serial number (48 bits), so that a response finds its call without
/// hashing and no id is ever used twice. Deadlines: as in the server's table, a lower bound of all of them, and a look
/// through the table once it has passed.
///
/// Pure: no thread, no clock, no I/O.
struct PendingCalls {
    /// Most calls in flight, whatever the server allows: places are numbered with 16 bits.
    static let maxInFlight = 1 << 16
    /// Deadlines are kept to this precision, in microseconds.
    static let minScanInterval: UInt64 = 1_000

    private var places: [CallAttempt?] = []
    private var freePlaces: [Int] = []
    private var serial: UInt64 = 0
    private var waiting = Deque<CallAttempt>()
    private var earliestDeadline = MonotonicTime(nanoseconds: .max)
    private var lastScan = MonotonicTime(nanoseconds: 0)

    /// Calls that were sent.
    private(set) var inFlightCount = 0

    /// Calls that wait to be sent, those that were cancelled meanwhile included.
    var waitingCount: Int { waiting.count }

    var isEmpty: Bool { waiting.isEmpty && inFlightCount == 0 }

    /// Adds a call that is to be sent.
    mutating func wait(_ call: CallAttempt) {
        waiting.append(call)
        earliestDeadline = min(earliestDeadline, call.sendBy)
    }

    /// The next call to send. It stays first until `didSend`.
    mutating func nextToSend() -> CallAttempt? {
        while let call = waiting.first {
            if !call.isDone { return call }
            waiting.removeFirst()
        }
        return nil
    }

    /// The id that the next call to send will have.
    mutating func reserveID() -> UInt64 {
        if freePlaces.isEmpty {
            freePlaces.append(places.count)
            places.append(nil)
        }
        serial += 1
        return serial << 16 | UInt64(freePlaces[freePlaces.count - 1])
    }

    /// The first waiting call was sent with `id`, which `reserveID` gave.
    mutating func didSend(id: UInt64) {
        let call = waiting.removeFirst()
        call.id = id
        freePlaces.removeLast()
        places[Int(id & 0xFFFF)] = call
        inFlightCount += 1
        earliestDeadline = min(earliestDeadline, call.request.deadline.time)
    }

    /// Takes the call in flight with this id out; nil where it has an outcome already.
    mutating func take(id: UInt64) -> CallAttempt? {
        let place = Int(id & 0xFFFF)
        guard place < places.count, let call = places[place], call.id == id else { return nil }
        places[place] = nil
        freePlaces.append(place)
        inFlightCount -= 1
        return call
    }

    /// Takes all calls in flight out: their connection is gone.
    mutating func takeInFlight() -> [CallAttempt] {
        let calls = places.compactMap { $0 }
        for call in calls { _ = take(id: call.id) }
        return calls
    }

    /// Takes all calls out that wait to be sent.
    mutating func takeWaiting() -> [CallAttempt] {
        defer { waiting = [] }
        return waiting.filter { !$0.isDone }
    }

    /// Takes the calls out that wait to be sent and may go to another server.
    mutating func takeMovable() -> [CallAttempt] {
        let movable = Array(waiting.lazy.filter { !$0.isDone && !$0.request.isPinned })
        waiting.removeAll { $0.isDone || !$0.request.isPinned }
        return movable
    }

    /// When `takeExpired` wants to be called next.
    var nextScan: MonotonicTime? {
        guard earliestDeadline.nanoseconds != .max else { return nil }
        return max(earliestDeadline, lastScan.advanced(byMicroseconds: Self.minScanInterval))
    }

    /// Takes out the calls whose time is over, those that were sent and those that were not.
    mutating func takeExpired(at now: MonotonicTime) -> (inFlight: [CallAttempt], waiting: [CallAttempt]) {
        guard let nextScan, now >= nextScan else { return ([], []) }
        lastScan = now
        let expired = places.compactMap { $0 }.filter { $0.request.deadline.time <= now }
        for call in expired { _ = take(id: call.id) }
        let unsent = Array(waiting.lazy.filter { !$0.isDone && $0.sendBy <= now })
        if !unsent.isEmpty || waiting.contains(where: \.isDone) {
            waiting.removeAll { $0.isDone || $0.sendBy <= now }
        }
        var earliest = MonotonicTime(nanoseconds: .max)
        for call in places { if let call { earliest = min(earliest, call.request.deadline.time) } }
        for call in waiting { earliest = min(earliest, call.sendBy) }
        earliestDeadline = earliest
        return (expired, unsent)
    }
}
