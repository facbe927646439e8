import RPC

/// A group whose members are at this server, in the term that it holds the group.
struct HostedGroup: Sendable {
    let group: SubscriptionGroup
    let term: String
    var delivery: GroupDelivery
    /// What the database has as the low mark.
    var storedLow: Int64
    /// Whether anything was acknowledged since it was stored.
    var hasNews = false

    init(_ group: SubscriptionGroup, term: String, lowMark: Int64) {
        self.group = group
        self.term = term
        storedLow = lowMark
        delivery = GroupDelivery(lowMark: lowMark, terms: .standard)
    }

    /// How it stands at one moment, without what it holds.
    struct Summary: Sendable {
        var group: SubscriptionGroup
        var term: String
        var lowMark: Int64
        var position: Int64
        var wantsMore: Bool
        /// Whether the mark is worth a write: not for every order of others that a group passes over.
        var isToStore: Bool

        var id: String { group.id }
    }

    var summary: Summary {
        let ahead = delivery.lowMark - storedLow
        return Summary(
            group: group, term: term, lowMark: delivery.lowMark, position: delivery.position, wantsMore: delivery.wantsMore,
            isToStore: ahead >= Limits.passedBeforeStoring || ahead > 0 && hasNews)
    }
}

extension GroupDelivery.Terms {
    static let standard = GroupDelivery.Terms(
        window: Limits.notificationWindow, firstShare: Limits.firstShare, acknowledgementTimeout: Limits.acknowledgementTimeout,
        silence: Limits.memberSilence, readAhead: Limits.completionsReadAhead)
}
