import MongoDB
import RPC
import TestSupport
import Testing

@testable import Shop

/// The settler's lease in thousands of random histories: two or three servers that crash between any two steps, stand still for any
/// time and come back, and a database whose clock jumps.
@Suite("Lease histories")
struct LeaseModelTests {
    private static let histories = 100

    @Test("no epoch has two holders, numbers have no gap, what is settled is not read again, and in the end somebody settles", arguments: Seeds.fresh(20, long: 400))
    func random(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<Self.histories {
            var world = World(servers: Int.random(in: 2...3, using: &random))
            for _ in 0..<Int.random(in: 50...400, using: &random) { world.disturb(using: &random) }
            world.expectSafe(seed)
            world.expectLive(seed, using: &random)
        }
    }

    @Test("a server that is started again under its name goes on at once, under another after the lease's end")
    func restart() {
        for (name, isAtOnce) in [("0", true), ("1", false)] {
            var world = World(servers: 1)
            while world.database.log.isEmpty { world.step(0) }
            let start = world.now
            world.servers[0] = World.Server(name: name, session: 99)
            while world.database.log.last?.epoch == 1 { world.step(0) }
            let waited = Duration.milliseconds(world.now - start)
            #expect(isAtOnce ? waited < Limits.standbyPoll : waited >= Limits.leaseRenewal && waited <= Limits.leaseDuration + Limits.standbyPoll * 3)
        }
    }

    @Test("servers whose settlements take longer than a lease do not take it from each other for ever", arguments: [1400, 1600, 3500, 9000])
    func slow(milliseconds: Int) {
        var random = SeededGenerator(seed: 7)
        var world = World(servers: 2)
        world.settlementTime = .milliseconds(milliseconds)
        world.run(for: .seconds(300), using: &random) { $0.log.count >= 10 }
        #expect(world.database.log.count == 10)
        #expect(world.database.takers.count <= 12, "each of them learns how long it takes")
        world.expectSafe(7)
    }
}

/// The lease document, and one clock.
private struct LeaseDatabase {
    /// How far the wall clock is off.
    var clockOffset: Int64 = 0
    var lease = LeaseObservation(epoch: 0, holder: "", expires: BSONDate(millisecondsSince1970: 0), lasts: .zero, isExpired: true, sessions: [])
    var sequence: Int64 = 0
    /// The session with an open transaction, which holds the document locked, and what it is to write.
    var open: (session: SessionID, epoch: Int64, count: Int64)?
    /// The session with an open transaction in which orders leave the queue, which holds them locked.
    var exit: SessionID?
    /// The last number whose order has left the queue.
    var followed: Int64 = 0
    /// Whether somebody has read orders from the queue that were settled already.
    var isReadTwice = false
    /// What was committed, and by whom.
    var log: [(epoch: Int64, first: Int64, last: Int64, server: String)] = []
    /// Who took which epoch.
    var takers: [(epoch: Int64, server: String)] = []

    private mutating func extend(for duration: Duration, _ now: Int64) {
        lease.lasts = duration
        lease.expires = BSONDate(millisecondsSince1970: now + clockOffset + Int64(duration / .milliseconds(1)))
    }

    func observe(_ now: Int64) -> LeaseObservation {
        var seen = lease
        seen.isExpired = lease.expires.millisecondsSince1970 < now + clockOffset
        return seen
    }

    mutating func kill(_ sessions: [SessionID]) {
        if let session = open?.session, sessions.contains(session) { open = nil }
        if let session = exit, sessions.contains(session) { exit = nil }
    }

    /// False where the document is locked: the caller waits in vain, and hears of an error.
    mutating func take(from seen: LeaseObservation, as name: String, _ sessions: [SessionID], for duration: Duration, _ now: Int64) -> Int64? {
        guard open == nil, lease.epoch == seen.epoch, lease.expires == seen.expires else { return nil }
        (lease.epoch, lease.holder, lease.sessions) = (seen.epoch + 1, name, sessions)
        extend(for: duration, now)
        takers.append((lease.epoch, name))
        return lease.epoch
    }

    enum Reply { case done, lost, locked }

    mutating func renew(_ epoch: Int64, _ sessions: [SessionID], for duration: Duration, _ now: Int64) -> Reply {
        guard lease.epoch == epoch else { return .lost }
        guard open == nil else { return .locked }
        extend(for: duration, now)
        lease.sessions = sessions
        return .done
    }

    /// Both transactions of a settlement, of orders that were just read.
    mutating func begin(_ epoch: Int64, _ sessions: [SessionID], count: Int64) -> Reply {
        guard lease.epoch == epoch else { return .lost }
        guard open == nil, exit == nil else { return .locked }
        if followed < sequence { isReadTwice = true }
        open = (sessions[0], epoch, count)
        exit = sessions[1]
        return .done
    }

    /// The orders leave the queue. False where the transaction is no more.
    mutating func commitExit(_ session: SessionID) -> Bool {
        guard exit == session else { return false }
        exit = nil
        followed = sequence
        return true
    }

    mutating func catchUp(_ epoch: Int64) -> Reply {
        guard exit == nil else { return .locked }
        followed = sequence
        return .done
    }

    /// False where the transaction is no more.
    mutating func commit(_ session: SessionID, by name: String, for duration: Duration, _ now: Int64) -> Bool {
        guard let open, open.session == session else { return false }
        self.open = nil
        extend(for: duration, now)
        log.append((open.epoch, sequence + 1, sequence + open.count, name))
        sequence += open.count
        return true
    }
}

/// Some servers on one database. Each step of a server is one thing that it does with the database or with what it heard from it, so that
/// anything may happen between two of them.
private struct World {
    struct Server {
        enum Step {
            case idle
            case observed(LeaseObservation, asked: MonotonicTime)
            case killed(LeaseObservation, asked: MonotonicTime)
            case took(Int64?, asked: MonotonicTime)
            case renewed(LeaseDatabase.Reply, asked: MonotonicTime)
            case began(LeaseDatabase.Reply, asked: MonotonicTime)
            case committed(Bool, asked: MonotonicTime)
            case caughtUp(LeaseDatabase.Reply)
        }

        var lease: LeaseState
        /// Of its settlements, and of the orders that leave the queue.
        let sessions: [SessionID]
        /// Whether it knows that all that was settled has left the queue.
        var hasCaughtUp = false
        var step = Step.idle
        /// Stands still until then.
        var stoppedUntil: Int64 = 0

        init(name: String, session: UInt8) {
            lease = LeaseState(name: name)
            sessions = [World.session(session, 1), World.session(session, 2)]
        }
    }

    var database = LeaseDatabase()
    var servers: [Server]
    /// Milliseconds.
    var now: Int64 = 10_000
    /// How long a transaction takes, at least.
    var settlementTime = Duration.zero
    private var sessions: UInt8 = 0

    init(servers count: Int) {
        servers = (0..<count).map { Server(name: "\($0)", session: UInt8($0)) }
        sessions = UInt8(count)
    }

    fileprivate static func session(_ number: UInt8, _ last: UInt8) -> SessionID {
        SessionID([UInt8](repeating: number, count: SessionID.byteCount - 1) + [last]) ?? { preconditionFailure("it has 16 bytes") }()
    }

    private var time: MonotonicTime { MonotonicTime(nanoseconds: UInt64(now) * 1_000_000) }

    /// Something happens: mostly a step of a server.
    mutating func disturb(using random: inout SeededGenerator) {
        let index = Int.random(in: 0..<servers.count, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<3:
            // kill -9 and a new process, under its name or another. What was open in the database stays open.
            sessions &+= 1
            let name = Bool.random(using: &random) ? servers[index].lease.name : "new \(sessions)"
            servers[index] = Server(name: name, session: sessions)
        case 3..<7:
            servers[index].stoppedUntil = now + Int64.random(in: 1...6000, using: &random)
        case 7..<8:
            database.clockOffset = Int64.random(in: -3_600_000...3_600_000, using: &random)
        case 8..<10:
            // A transaction's time limit.
            if Bool.random(using: &random) { database.open = nil } else { database.exit = nil }
        default:
            if servers[index].stoppedUntil <= now { step(index) }
        }
        now += Int64.random(in: 0...60, using: &random)
    }

    /// One step of one server, and some time.
    mutating func step(_ index: Int) {
        var server = servers[index]
        defer { servers[index] = server }
        now += 1
        switch server.step {
        case .idle: act(&server)
        case .observed(let seen, let asked):
            guard server.lease.mayTake(seen, at: asked) else {
                server.lease.stayStandby(at: asked)
                server.step = .idle
                return
            }
            database.kill(seen.sessions)
            server.step = .killed(seen, asked: asked)
        case .killed(let seen, let asked):
            server.step = .took(
                database.take(
                    from: seen, as: server.lease.name, server.sessions, for: server.lease.duration, now), asked: asked)
        case .took(let epoch, let asked):
            if let epoch { server.lease.taken(epoch: epoch, askedAt: asked) } else { server.lease.stayStandby(at: asked) }
            server.hasCaughtUp = false
            server.step = .idle
        case .renewed(let reply, let asked):
            heard(reply, asked, &server)
            server.step = .idle
        case .began(let reply, let asked):
            if case .done = reply {
                // One that was killed is noticed with its next statement.
                guard time >= asked.advanced(by: settlementTime) || database.open?.session != server.sessions[0] else { return }
                server.step = .committed(
                    database.commit(server.sessions[0], by: server.lease.name, for: server.lease.duration, now), asked: asked)
            } else {
                heard(reply, asked, &server)
                server.step = .idle
            }
        case .committed(let isCommitted, let asked):
            if isCommitted {
                server.lease.renewed(askedAt: asked)
                server.lease.settled(in: .microseconds(Int64(time.microseconds(since: asked))))
                if !database.commitExit(server.sessions[1]) { doubt(&server) }
            } else {
                database.kill([server.sessions[1]])
                doubt(&server)
            }
            server.step = .idle
        case .caughtUp(let reply):
            if case .done = reply { server.hasCaughtUp = true } else { doubt(&server) }
            server.step = .idle
        }
    }

    /// It begins anew: what it left open is aborted.
    private mutating func doubt(_ server: inout Server) {
        server.lease.doubt()
        database.kill(server.sessions)
        server.hasCaughtUp = false
    }

    private mutating func act(_ server: inout Server) {
        switch server.lease.action(at: time) {
        case .look: server.step = .observed(database.observe(now), asked: time)
        case .renew(let epoch): server.step = .renewed(database.renew(epoch, server.sessions, for: server.lease.duration, now), asked: time)
        case .settle(let epoch) where !server.hasCaughtUp: server.step = .caughtUp(database.catchUp(epoch))
        case .settle(let epoch): server.step = .began(database.begin(epoch, server.sessions, count: now % 7 + 1), asked: time)
        case .wait: break
        }
    }

    private mutating func heard(_ reply: LeaseDatabase.Reply, _ asked: MonotonicTime, _ server: inout Server) {
        switch reply {
        case .done: server.lease.renewed(askedAt: asked)
        case .lost: server.lease.lost(at: time)
        case .locked: doubt(&server)
        }
    }

    // MARK: What must hold

    func expectSafe(_ seed: UInt64) {
        #expect(violation == nil, "seed \(seed)")
    }

    private var violation: String? {
        let takers = Dictionary(database.takers.map { ($0.epoch, $0.server) }) { first, _ in first }
        if database.isReadTwice { return "orders were read that were settled" }
        if takers.count < database.takers.count { return "an epoch with two holders" }
        var before: (epoch: Int64, last: Int64) = (0, 0)
        for entry in database.log {
            if entry.first != before.last + 1 { return "a gap or a repeat before \(entry.first)" }
            if entry.epoch < before.epoch { return "an old holder wrote \(entry.first) after a new one" }
            if takers[entry.epoch] != entry.server { return "\(entry.server) wrote \(entry.first) in an epoch that was not its own" }
            before = (entry.epoch, entry.last)
        }
        return nil
    }

    /// When nothing more goes wrong, somebody settles within the time that a takeover may take, and goes on doing so.
    mutating func expectLive(_ seed: UInt64, using random: inout SeededGenerator) {
        for index in servers.indices { servers[index].stoppedUntil = 0 }
        let count = database.log.count
        run(for: max(Limits.leaseSilence, database.lease.lasts * 2) + Limits.leaseDuration, using: &random) { $0.log.count > count }
        #expect(database.log.count > count, "seed \(seed): nobody settles")
        let epoch = database.lease.epoch
        run(for: .seconds(4), using: &random) { _ in false }
        #expect(database.lease.epoch == epoch, "seed \(seed): they take the lease from each other, though nothing is wrong")
        expectSafe(seed)
    }

    /// - Parameter isEnough: ends it sooner.
    mutating func run(for duration: Duration, using random: inout SeededGenerator, until isEnough: (LeaseDatabase) -> Bool) {
        let end = now + Int64(duration / .milliseconds(1))
        while now < end, !isEnough(database) {
            step(Int.random(in: 0..<servers.count, using: &random))
            now += 4
        }
    }
}
