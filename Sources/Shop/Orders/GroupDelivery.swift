import DequeModule
import RPC

/// Which member of a group gets which completion, and up to which number the group is done with everything.
///
/// A completion that was read from the log is with one member at a time. It goes to another one when its member leaves, falls silent or
/// does not acknowledge in time; whoever acknowledges it, it is done. Pure: no clock and no I/O, time comes with the events, and
/// what has to be sent is returned.
struct GroupDelivery: Sendable {
    /// What a member may do to the others.
    struct Terms: Sendable {
        /// Completions that a member may hold without having acknowledged them itself, also where they went to another one since. So who
        /// falls behind gets no more, and its buffers are bounded.
        var window: Int
        /// What one of several members may hold at first. It grows with what it acknowledges while that is not enough, and is halved when its
        /// time is over: who is slow then holds little that others could have dealt with at once.
        var firstShare: Int
        /// After this time without an acknowledgement another member gets it.
        var acknowledgementTimeout: Duration
        /// A member that has said nothing for this long is none any more.
        var silence: Duration
        /// Completions that are read ahead of what members take.
        var readAhead: Int
    }

    /// A completion as it is sent.
    struct Event: Sendable, Equatable {
        var sequence: Int64
        var payload: [UInt8]
    }

    /// An event to be sent to a member.
    struct Push: Sendable, Equatable {
        var member: String
        var event: Event
    }

    private struct Entry: Sendable {
        var payload: [UInt8]
        /// Who has it, since when; nil: it waits.
        var holder: (member: String, since: MonotonicTime)?
        /// Whether anybody ever had it. What nobody had, nobody can have dealt with.
        var wasSent = false
    }

    private struct Member: Sendable {
        var heardAt: MonotonicTime
        /// Whether its channel takes events.
        var isConnected = false
        /// What it was sent and has not acknowledged.
        var held: Set<Int64> = []
        /// How much it may hold beside others.
        var share: Int
        /// When it was last dealt something, among all deals: of members that hold equally many, the one that waited longest is next.
        var turn: UInt64 = 0
    }

    private let terms: Terms
    /// The log has been read up to here.
    private(set) var position: Int64
    /// What was read and is not acknowledged.
    private var entries: [Int64: Entry] = [:]
    /// The numbers of `entries` in order, and some between them that are acknowledged. The first is not.
    private var order: Deque<Int64> = []
    /// Read, and never sent.
    private var fresh: Deque<Int64> = []
    /// Sent, and to be sent again; sorted. All of them are below those in `fresh`.
    private var returned: [Int64] = []
    private var members: [String: Member] = [:]
    private var deals: UInt64 = 0
    private var connectedCount = 0
    /// No event that is with a member has been there since before this moment.
    private var oldestHeld: MonotonicTime?

    init(lowMark: Int64, terms: Terms) {
        position = lowMark
        self.terms = terms
    }

    /// Everything up to here is acknowledged, or not for this group. What is stored.
    var lowMark: Int64 { order.first.map { $0 - 1 } ?? position }

    /// Whether it has no members.
    var isEmpty: Bool { members.isEmpty }
    var memberIDs: [String] { Array(members.keys) }
    func isMember(_ id: String) -> Bool { members[id] != nil }

    /// Whether more of the log is to be read.
    var wantsMore: Bool {
        fresh.count + returned.count < terms.readAhead && members.values.contains(where: hasRoom)
    }

    private func hasRoom(_ member: Member) -> Bool {
        member.isConnected && member.held.count < (connectedCount == 1 ? terms.window : member.share)
    }
}

// MARK: - What happens

extension GroupDelivery {
    /// A member is to come.
    mutating func join(_ id: String, at now: MonotonicTime) {
        members[id] = Member(heardAt: now, share: min(terms.firstShare, terms.window))
    }

    /// A member's channel takes events from now on.
    mutating func connect(_ id: String, at now: MonotonicTime) {
        members[id]?.heardAt = now
        guard members[id]?.isConnected == false else { return }
        members[id]?.isConnected = true
        connectedCount += 1
    }

    /// A member has gone: what it has is to be sent to others.
    mutating func leave(_ id: String) {
        guard let member = members.removeValue(forKey: id) else { return }
        if member.isConnected { connectedCount -= 1 }
        takeBack(member.held.filter { entries[$0]?.holder?.member == id })
    }

    /// The next of the log, in order, and that it holds nothing else for this group up to and including `end`.
    mutating func read(_ events: [Event], through end: Int64) {
        for event in events {
            precondition(event.sequence > position, "the log is read in order, once")
            position = event.sequence
            entries[event.sequence] = Entry(payload: event.payload)
            order.append(event.sequence)
            fresh.append(event.sequence)
        }
        position = max(position, end)
    }

    /// Takes acknowledgements of a member: in any order, repeated ones, and such of events that have gone to others meanwhile, or came
    /// through a former membership. Numbers that nobody was sent change nothing. Returns whether anything became done.
    mutating func acknowledge(_ sequences: some Sequence<Int64>, by id: String, at now: MonotonicTime) -> Bool {
        let before = members[id]?.held.count ?? 0
        members[id]?.heardAt = now
        var (isAnyDone, timely) = (false, 0)
        for sequence in sequences {
            members[id]?.held.remove(sequence)
            guard let entry = entries[sequence], entry.wasSent else { continue }
            if entry.holder?.member == id { timely += 1 }
            entries[sequence] = nil
            isAnyDone = true
        }
        trim()
        if let share = members[id]?.share, before >= share / 2 { members[id]?.share = min(terms.window, share + timely) }
        return isAnyDone
    }

    /// Time has passed. Returns members that have been silent for too long, and are none any more.
    mutating func tick(at now: MonotonicTime) -> [String] {
        let silent = members.filter { $0.value.heardAt.advanced(by: terms.silence) <= now }.map(\.key)
        for id in silent { leave(id) }
        if let oldestHeld, oldestHeld.advanced(by: terms.acknowledgementTimeout) <= now { expire(at: now) }
        return silent
    }

    /// The clock went on while this process did not: nobody is blamed for the silence.
    mutating func forgiveSilence(at now: MonotonicTime) {
        for id in members.keys { members[id]?.heardAt = now }
    }
}

// MARK: - What is to be done

extension GroupDelivery {
    /// Gives what waits to members that have room: the lowest number first, each to whoever holds least.
    mutating func deal(at now: MonotonicTime) -> [Push] {
        var pushes: [Push] = []
        var waiting: [Int64] = []
        for sequence in returned where entries[sequence] != nil {
            guard let member = receiver(of: sequence) else {
                waiting.append(sequence)
                continue
            }
            pushes.append(hand(sequence, to: member, at: now))
        }
        returned = waiting
        while let sequence = fresh.first, let member = receiver(of: sequence) {
            fresh.removeFirst()
            pushes.append(hand(sequence, to: member, at: now))
        }
        return pushes
    }

    /// Of those with room that do not have it, who holds least. Where all have it, it goes to one of them again: its acknowledgement
    /// may have been lost.
    private func receiver(of sequence: Int64) -> String? {
        var best: (id: String, held: Int, turn: UInt64)?
        var again: (id: String, held: Int, turn: UInt64)?
        var haveAll = true
        for (id, member) in members where member.isConnected {
            let candidate = (id: id, held: member.held.count, turn: member.turn)
            if member.held.contains(sequence) {
                if again.map({ (candidate.held, candidate.turn) < ($0.held, $0.turn) }) ?? true { again = candidate }
                continue
            }
            haveAll = false
            guard hasRoom(member) else { continue }
            if best.map({ (candidate.held, candidate.turn) < ($0.held, $0.turn) }) ?? true { best = candidate }
        }
        return haveAll ? again?.id : best?.id
    }

    private mutating func hand(_ sequence: Int64, to id: String, at now: MonotonicTime) -> Push {
        deals += 1
        members[id]?.turn = deals
        members[id]?.held.insert(sequence)
        entries[sequence]?.holder = (id, now)
        entries[sequence]?.wasSent = true
        if oldestHeld == nil { oldestHeld = now }
        return Push(member: id, event: Event(sequence: sequence, payload: entries[sequence]?.payload ?? []))
    }

    /// Whoever had these has gone, or was given its time.
    private mutating func takeBack(_ sequences: some Sequence<Int64>) {
        for sequence in sequences {
            entries[sequence]?.holder = nil
            returned.append(sequence)
        }
        returned.sort()
    }

    private mutating func expire(at now: MonotonicTime) {
        oldestHeld = nil
        var expired: [Int64] = []
        var late: Set<String> = []
        for (sequence, entry) in entries {
            guard let (holder, since) = entry.holder else { continue }
            if since.advanced(by: terms.acknowledgementTimeout) <= now {
                expired.append(sequence)
                late.insert(holder)
            } else {
                oldestHeld = min(oldestHeld ?? since, since)
            }
        }
        for id in late {
            guard let share = members[id]?.share else { continue }
            members[id]?.share = max(1, share / 2)
        }
        takeBack(expired)
    }

    private mutating func trim() {
        while let first = order.first, entries[first] == nil { order.removeFirst() }
        // One that nobody acknowledges must not keep all numbers after it.
        if order.count > 2 * entries.count + terms.readAhead { order = Deque(order.filter { entries[$0] != nil }) }
    }
}
