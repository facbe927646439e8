import RPC

/// One connection that said HELLO. Belongs to the frontend thread.
final class Session {
    let peer: PeerID
    let id: UInt64
    let identity: Identity
    let lanes: ClientLanes
    @exclusivity(unchecked) var age = AgeEstimator()
    /// Calls in flight by the client's id.
    @exclusivity(unchecked) var calls: [UInt64: Call] = [:]
    @exclusivity(unchecked) var lastHeard: MonotonicTime

    init(peer: PeerID, id: UInt64, identity: Identity, lanes: ClientLanes, now: MonotonicTime) {
        self.peer = peer
        self.id = id
        self.identity = identity
        self.lanes = lanes
        self.lastHeard = now
    }

    /// A call was admitted; false where another one with its id is in flight.
    func insert(_ call: Call) -> Bool {
        if let earlier = calls.updateValue(call, forKey: call.id) {
            calls[call.id] = earlier
            return false
        }
        lanes.inFlight += 1
        return true
    }

    /// A call of this session is answered.
    func remove(_ call: Call) {
        calls[call.id] = nil
        lanes.inFlight -= 1
    }
}

/// The lanes of one client, shared by its connections: more connections bring no larger share.
final class ClientLanes {
    @exclusivity(unchecked) private var lanes: [Lane?]
    fileprivate(set) var sessionCount = 0
    /// Calls in flight in all its sessions.
    @exclusivity(unchecked) var inFlight = 0

    fileprivate init(methods: Int) { lanes = Array(repeating: nil, count: methods) }

    func lane(for method: Int) -> Lane {
        if let lane = lanes[method] { return lane }
        let lane = Lane()
        lanes[method] = lane
        return lane
    }
}

/// The open sessions.
///
/// Pure: no thread, no clock, no I/O.
struct SessionTable {
    private var sessions: [PeerID: Session] = [:]
    private var lanes: [Identity: ClientLanes] = [:]
    /// The session that was looked up last: requests come in bursts.
    private var latest: Session?
    private let methodCount: Int

    init(methodCount: Int) { self.methodCount = methodCount }

    var count: Int { sessions.count }

    var all: [Session] { Array(sessions.values) }

    /// Sessions of one client.
    func count(of identity: Identity) -> Int { lanes[identity]?.sessionCount ?? 0 }

    subscript(peer: PeerID) -> Session? {
        mutating get {
            if let latest, latest.peer == peer { return latest }
            guard let session = sessions[peer] else { return nil }
            latest = session
            return session
        }
    }

    /// Opens a session; one that the connection had before has to be closed first.
    mutating func open(peer: PeerID, id: UInt64, identity: Identity, now: MonotonicTime) -> Session {
        let clientLanes = lanes[identity] ?? ClientLanes(methods: methodCount)
        clientLanes.sessionCount += 1
        lanes[identity] = clientLanes
        let session = Session(peer: peer, id: id, identity: identity, lanes: clientLanes, now: now)
        sessions[peer] = session
        return session
    }

    /// Ends a session, and returns it with the calls that it had in flight.
    mutating func close(_ peer: PeerID) -> Session? {
        guard let session = sessions.removeValue(forKey: peer) else { return nil }
        if latest === session { latest = nil }
        session.lanes.sessionCount -= 1
        session.lanes.inFlight -= session.calls.count
        if session.lanes.sessionCount == 0 { lanes[session.identity] = nil }
        return session
    }

    /// Sessions that were not heard of for `microseconds`.
    func silent(for microseconds: UInt64, at now: MonotonicTime) -> [Session] {
        sessions.values.filter { now.microseconds(since: $0.lastHeard) > microseconds }
    }
}
