import MongoDB
import ProtoShop
import Protobuf
import RPC
import RPCServer
import Synchronization

/// Pushes completions to the members that joined at this server, in the order of their numbers.
///
/// The settlement log is the truth: a member gets what follows its group's position, at most a window ahead of its
/// acknowledgements, and what was not acknowledged when it goes is sent to the next one. A thread of its own, which sleeps
/// while there is no member.
final class Notifier: Sendable {
    private let database: ShopDatabase
    private let settlements: SettlementStore
    private let groups: GroupStore
    private let publisher: EventPublisher
    private let thread = LoopThread()
    /// By group id. The thread sends; callers join and acknowledge.
    private let members = Mutex<[String: Member]>([:])

    /// One member and how far it has come.
    private struct Member {
        let group: SubscriptionGroup
        let id: String
        var cursor: GroupCursor
        /// What the database has as the low mark.
        var storedLow: Int64
        /// When something was last sent or acknowledged.
        var movedAt = MonotonicTime.now

        /// Events that may be sent before more are acknowledged.
        var room: Int { Limits.notificationWindow - cursor.unacknowledgedCount }
        /// Whether to send: half a window at once, because whole settlements are read for however few events fit.
        var hasRoom: Bool { room >= Limits.notificationWindow / 2 }
    }

    init(database: ShopDatabase, settlements: SettlementStore, groups: GroupStore, publisher: EventPublisher) {
        self.database = database
        self.settlements = settlements
        self.groups = groups
        self.publisher = publisher
    }

    func start() { thread.start(named: "notifier") { [self] in run() } }

    /// Something was settled. From any thread.
    func wake() {
        if members.withLock({ !$0.isEmpty }) { thread.wake() }
    }

    /// Ends the thread, and notes how far the groups have come.
    func stop() { thread.stop() }

    // MARK: - For calls

    /// A new membership of a group, and where it goes on.
    struct Membership: Sendable {
        var id: String
        var token: String
        var endpoint: String
        var lowMark: Int64
    }

    /// Makes the caller the member of `group`; whoever was it gets nothing more.
    ///
    /// - Parameter start: where a new group begins; nil: from now on.
    func join(_ group: SubscriptionGroup, start: Int64?, before deadline: Deadline) throws(RPCError) -> Membership {
        let id = OpaqueID.make()
        let token = OpaqueID.make()
        let endpoint = try publisher.open(member: id, token: token)
        var lowMark: Int64?
        do throws(RPCError) {
            lowMark = try database.perform(.write, before: deadline) { client throws(MongoError) in
                var first = start
                if first == nil { first = try settlements.lastSequence(client, before: deadline) }
                return try groups.join(group, member: id, start: first ?? 0, client, before: deadline)
            }
        } catch {
            publisher.close(member: id)
            throw error
        }
        guard let lowMark else {
            publisher.close(member: id)
            throw Self.filterIsFixed
        }
        let member = Member(group: group, id: id, cursor: GroupCursor(lowMark: lowMark), storedLow: lowMark)
        if let old = members.withLock({ $0.updateValue(member, forKey: group.id) }) { publisher.close(member: old.id) }
        thread.wake()
        return Membership(id: id, token: token, endpoint: endpoint, lowMark: lowMark)
    }

    /// Takes acknowledgements, and returns the group's low mark once it is stored.
    func acknowledge(
        _ sequences: [Int64], group: String, member: String, before deadline: Deadline
    ) throws(RPCError) -> Int64 {
        let (acknowledged, wasFull): (Member?, Bool) = members.withLock { members in
            guard var present = members[group], present.id == member else { return (nil, false) }
            let wasFull = !present.hasRoom
            // A member that only shows that it lives does not show that anything arrived.
            if !sequences.isEmpty { present.movedAt = .now }
            _ = present.cursor.acknowledge(sequences)
            members[group] = present
            return (present, wasFull)
        }
        guard let acknowledged else { throw Self.memberUnknown }
        if wasFull && acknowledged.hasRoom { thread.wake() }
        guard acknowledged.cursor.lowMark > acknowledged.storedLow else { return acknowledged.storedLow }
        let isMember = try database.perform(.write, before: deadline) { client throws(MongoError) in
            try store(acknowledged, client, before: deadline)
        }
        guard isMember else { throw Self.memberUnknown }
        return acknowledged.cursor.lowMark
    }

    private static let filterIsFixed = RPCError(
        .failedPrecondition, reason: "GROUP_FILTER_FIXED",
        "the group exists with another filter; subscribe with that one, or choose another group")
    private static let memberUnknown = RPCError(
        .failedPrecondition, reason: "MEMBER_UNKNOWN", "this membership has ended or is at another server; subscribe again")

    /// Stores a member's low mark. Where another one has joined elsewhere, lets it go and returns false.
    private func store(_ member: Member, _ client: borrowing Client, before deadline: Deadline) throws(MongoError) -> Bool {
        let low = member.cursor.lowMark
        guard try groups.advance(member.group, member: member.id, to: low, client, before: deadline) else {
            remove(member)
            return false
        }
        members.withLock { members in
            guard let present = members[member.group.id], present.id == member.id else { return }
            members[member.group.id]?.storedLow = max(present.storedLow, low)
        }
        return true
    }

    private func remove(_ member: Member) {
        members.withLock { members in
            if members[member.group.id]?.id == member.id { members[member.group.id] = nil }
        }
        publisher.close(member: member.id)
    }

    // MARK: - The notifier's thread

    private func run() {
        var backoff = Backoff()
        var checkedAt = MonotonicTime.now
        while !thread.isStopping {
            let present = members.withLock { Array($0.values) }
            guard !present.isEmpty else {
                thread.sleep(atMost: nil)
                continue
            }
            do throws(MongoError) {
                let hasMore = try database.pool.withClient { client throws(MongoError) in
                    if checkedAt.advanced(by: Self.membershipCheck) <= .now {
                        try dropMovedMembers(present, client)
                        checkedAt = .now
                    }
                    return try serve(present, client)
                }
                backoff.reset()
                if !hasMore { thread.sleep(atMost: Limits.logPoll) }
            } catch {
                database.logger.warning("Completions have to wait for the database", metadata: ["error": "\(error)"])
                thread.pause(for: backoff.next())
            }
        }
        storeLowMarks()
    }

    private static let membershipCheck = Duration.seconds(2)

    /// A group's next member may have joined at another server: there is one member at a time.
    private func dropMovedMembers(_ present: [Member], _ client: borrowing Client) throws(MongoError) {
        let members = try groups.members(of: present.map(\.group.id), client, before: .after(Limits.maxQueryTime))
        for member in present where members[member.group.id] != member.id { remove(member) }
    }

    /// One round for all members. Returns whether there is more to send at once.
    private func serve(_ present: [Member], _ client: borrowing Client) throws(MongoError) -> Bool {
        let end = try settlements.lastSequence(client, before: .after(Limits.maxQueryTime))
        var hasMore = false
        for member in present { hasMore = try serve(member, end: end, client) || hasMore }
        return hasMore
    }

    private func serve(_ member: Member, end: Int64, _ client: borrowing Client) throws(MongoError) -> Bool {
        guard member.cursor.position < end, member.hasRoom else {
            resendIfLost(member)
            return false
        }
        let read = try settlements.settlements(
            after: member.cursor.position, of: member.group.submitter, count: Limits.logBatch, client,
            before: .after(Limits.maxQueryTime))
        // With fewer documents than asked for there was nothing more for this group up to the end that was read before.
        let isAll = read.count < Limits.logBatch
        let passed = max(read.last?.last ?? 0, isAll ? end : 0)
        let rows = read.flatMap(\.rows).filter { !member.cursor.isAcknowledged($0.sequence) }
        let events = try rows.prefix(member.room).map { row throws(MongoError) in
            (sequence: row.sequence, payload: try Self.payload(of: row))
        }
        let updated = send(events, to: member, passing: rows.count <= member.room ? passed : nil)
        guard let updated else { return false }
        try storeIfFarAhead(updated, client)
        return updated.cursor.position < end && updated.hasRoom
    }

    /// Hands events over, and moves the cursor. Nil where the member has gone meanwhile.
    private func send(_ events: [(sequence: Int64, payload: [UInt8])], to member: Member, passing end: Int64?) -> Member? {
        let updated: Member? = members.withLock { members in
            guard var present = members[member.group.id], present.id == member.id,
                present.cursor.position == member.cursor.position
            else { return member }
            for event in events {
                guard publisher.publish(to: present.id, sequence: event.sequence, payload: event.payload) else { return nil }
                present.cursor.didSend(event.sequence)
                present.movedAt = .now
            }
            if let end { present.cursor.didPass(end) }
            members[member.group.id] = present
            return present
        }
        if updated == nil { remove(member) }
        return updated
    }

    private static func payload(of row: CompletionRecord) throws(MongoError) -> [UInt8] {
        do throws(EncodingError) {
            return try row.completion.serializedBytes()
        } catch {
            throw MongoError(.malformedDocument, "completion \(row.sequence) cannot be encoded: \(error)")
        }
    }

    /// What left long ago and was never acknowledged went down with a connection: it is sent again.
    private func resendIfLost(_ member: Member) {
        guard member.cursor.unacknowledgedCount > 0,
            member.movedAt.advanced(by: Limits.acknowledgementTimeout) <= .now,
            publisher.pending(of: member.id) == 0
        else { return }
        database.logger.info("Sending unacknowledged completions again", metadata: ["group": "\(member.group.id)"])
        members.withLock { members in
            guard members[member.group.id]?.id == member.id else { return }
            members[member.group.id]?.cursor.rewind()
            members[member.group.id]?.movedAt = .now
        }
        thread.wake()
    }

    /// Groups that get little pass over much: noted now and then, so that they need not begin far back.
    private func storeIfFarAhead(_ member: Member, _ client: borrowing Client) throws(MongoError) {
        guard member.cursor.lowMark - member.storedLow >= Self.farAhead else { return }
        _ = try store(member, client, before: .after(Limits.maxQueryTime))
    }

    private static let farAhead: Int64 = 10_000

    private func storeLowMarks() {
        for member in members.withLock({ Array($0.values) }) where member.cursor.lowMark > member.storedLow {
            do throws(MongoError) {
                try database.pool.withClient { client throws(MongoError) in
                    _ = try store(member, client, before: .after(Limits.maxQueryTime))
                }
            } catch {
                // Harmless: the group passes over the same again.
                return database.logger.info("How far the groups have come is not stored", metadata: ["error": "\(error)"])
            }
        }
    }
}
