import MongoDB
import ProtoShop
import RPC
import RPCServer
import Synchronization

/// Pushes completions to the members of groups that joined at this server.
///
/// The settlement log is the truth: a group gets what follows its low mark, and what was not acknowledged when its server goes is sent
/// again by the next one. `GroupDelivery` decides what goes to whom; this reads the log for it, on a thread that sleeps while
/// there is no member, and hands over what it decides: from that thread, from calls, and from the publisher's.
final class Notifier: Sendable {
    let database: ShopDatabase
    let settlements: SettlementStore
    let groups: GroupStore
    private let publisher: EventPublisher
    /// This server's name among those on the database.
    private let server: String
    let thread = LoopThread()
    let news = SettledNews()
    /// By group id.
    private let hosted = Mutex<[String: HostedGroup]>([:])

    init(
        database: ShopDatabase, settlements: SettlementStore, groups: GroupStore, publisher: EventPublisher, server: String
    ) {
        self.database = database
        self.settlements = settlements
        self.groups = groups
        self.publisher = publisher
        self.server = server
    }

    func start() { thread.start(named: "notifier") { [self] in run() } }

    /// Something was settled. From any thread.
    func wake(at time: ClusterTime?) {
        guard hosted.withLock({ !$0.isEmpty }) else { return }
        news.note(time)
        thread.wake()
    }

    /// Ends the thread, notes how far the groups have come, and lets other servers take them.
    func stop() { thread.stop() }

    // MARK: - For calls

    /// A new membership of a group, and where the group goes on.
    struct Membership: Sendable {
        var id: String
        var token: String
        var endpoint: String
        var lowMark: Int64
    }

    /// Makes the caller a member of `group`. One at a time: of two that come first to a group, one has to find the other there.
    ///
    /// - Parameters:
    ///   - start: where a new group begins; nil: from now on.
    ///   - skipsExpired: goes on after what was removed of the log, where that is more than the group has got.
    func join(
        _ group: SubscriptionGroup, start: Int64?, skipsExpired: Bool, before deadline: Deadline
    ) throws(RPCError) -> Membership {
        if thread.isStopping { throw Shop.shuttingDown }
        let id = OpaqueID.make()
        let token = OpaqueID.make()
        if try !add(id, to: group) {
            let taken = try take(group, start: start, skipsExpired: skipsExpired, before: deadline)
            hosted.withLock { hosted in
                hosted[group.id] = taken
                hosted[group.id]?.delivery.join(id, at: .now)
            }
        }
        defer { thread.wake() }
        let endpoint: String
        do throws(RPCError) {
            endpoint = try publisher.open(member: id, token: token) { [weak self] isConnected in
                self?.connectionChanged(of: id, in: group.id, isConnected)
            }
        } catch {
            withGroup(group.id) { $0.delivery.leave(id) }
            throw error
        }
        return Membership(id: id, token: token, endpoint: endpoint, lowMark: withGroup(group.id) { $0.delivery.lowMark } ?? 0)
    }

    /// Adds a member where the group is here already.
    private func add(_ id: String, to group: SubscriptionGroup) throws(RPCError) -> Bool {
        let isSame = withGroup(group.id) { present in
            if present.group.filter == group.filter { present.delivery.join(id, at: .now) }
            return present.group.filter == group.filter
        }
        if isSame == false { throw Self.filterIsFixed }
        return isSame ?? false
    }

    /// Takes a group that is not here.
    private func take(
        _ group: SubscriptionGroup, start: Int64?, skipsExpired: Bool, before deadline: Deadline
    ) throws(RPCError) -> HostedGroup {
        let term = OpaqueID.make()
        let taken: Result<HostedGroup, RPCError> = try database.perform(.write, before: deadline) { client throws(MongoError) in
            let stored = try groups.find(group, client, before: deadline)
            if let stored, stored.filter != group.filter { return .failure(Self.filterIsFixed) }
            var first = stored?.low ?? start
            if first == nil { first = try settlements.lastSequence(client, before: deadline) }
            let beginning = try settlements.firstSequence(client, before: deadline)
            let low = first ?? 0
            if low + 1 < beginning && !skipsExpired { return .failure(SettlementStore.expired(after: low, first: beginning)) }
            switch try groups.hold(group, term: term, server: server, start: low, client, before: deadline) {
            case .held(let low): return .success(HostedGroup(group, term: term, lowMark: max(low, beginning - 1)))
            case .elsewhere(let server): return .failure(Self.isElsewhere(server))
            case .otherFilter: return .failure(Self.filterIsFixed)
            }
        }
        return try taken.get()
    }

    /// Takes acknowledgements, and returns the group's low mark. It is stored a little later.
    func acknowledge(_ sequences: [Int64], group: String, member: String) throws(RPCError) -> Int64 {
        let result: (low: Int64, wantsMore: Bool)? = withGroup(group) { present in
            guard present.delivery.isMember(member) else { return nil }
            let wantedMore = present.delivery.wantsMore
            if present.delivery.acknowledge(sequences, by: member, at: .now) { present.hasNews = true }
            send(&present)
            return (present.delivery.lowMark, !wantedMore && present.delivery.wantsMore)
        } ?? nil
        guard let result else { throw Self.memberUnknown }
        FaultPoint.inAcknowledgement.pass()
        if result.wantsMore { thread.wake() }
        return result.low
    }

    private static let filterIsFixed = RPCError(
        .failedPrecondition, reason: "GROUP_FILTER_FIXED",
        "the group exists with another filter; subscribe with that one, or choose another group")
    private static let memberUnknown = RPCError(
        .failedPrecondition, reason: "MEMBER_UNKNOWN", "this membership has ended or is at another server; subscribe again")

    private static func isElsewhere(_ server: String) -> RPCError {
        RPCError(
            .failedPrecondition, reason: "GROUP_ELSEWHERE",
            "the group's members are at another server; subscribe there, or here once that is gone",
            disposition: .notExecuted, metadata: ["server": server])
    }
}

// MARK: - Members

extension Notifier {
    /// Changes a group, if it is here. While `body` runs nobody else does.
    func withGroup<Result: Sendable>(_ id: String, _ body: (inout HostedGroup) -> Result) -> Result? {
        hosted.withLock { hosted in
            guard let index = hosted.index(forKey: id) else { return nil }
            return body(&hosted.values[index])
        }
    }

    var summaries: [HostedGroup.Summary] { hosted.withLock { $0.values.map(\.summary) } }

    /// Hands over what is to be sent now. Under the lock, so that a member's events leave in the order of their dealing.
    func send(_ group: inout HostedGroup) {
        while true {
            var gone: Set<String> = []
            for push in group.delivery.deal(at: .now) where !gone.contains(push.member) {
                if Flaw.losesNotifications.isPresent && push.event.sequence.isMultiple(of: 10) { continue }
                FaultPoint.beforePush.pass()
                let isTaken = publisher.publish(to: push.member, sequence: push.event.sequence, payload: push.event.payload)
                FaultPoint.afterPush.pass()
                if !isTaken { gone.insert(push.member) }
            }
            if gone.isEmpty { return }
            for member in gone { end(member, of: &group) }
        }
    }

    /// Ends a membership: what it has goes to others.
    func end(_ member: String, of group: inout HostedGroup) {
        group.delivery.leave(member)
        publisher.close(member: member)
    }

    /// A member's channel is connected, or is not any more: then it has lost what was on its way, and has to come again.
    private func connectionChanged(of member: String, in group: String, _ isConnected: Bool) {
        withGroup(group) { present in
            guard present.delivery.isMember(member) else { return }
            if isConnected { present.delivery.connect(member, at: .now) } else { end(member, of: &present) }
            send(&present)
        }
        thread.wake()
    }

    /// Lets a group go in the term that it was in: its members find out with their next call.
    func drop(_ group: HostedGroup.Summary) {
        hosted.withLock { hosted in
            guard var present = hosted[group.id], present.term == group.term else { return }
            hosted[group.id] = nil
            for member in present.delivery.memberIDs { end(member, of: &present) }
        }
    }

    /// Takes out the groups that have no members any more.
    func removeEmpty() -> [HostedGroup.Summary] {
        hosted.withLock { hosted in
            let empty = hosted.values.filter(\.delivery.isEmpty).map(\.summary)
            for group in empty { hosted[group.id] = nil }
            return empty
        }
    }
}
