import MongoDB
import ProtoShop
import Protobuf
import RPC

// The notifier's thread: it reads the log, keeps the groups' terms, and stores their marks.
extension Notifier {
    func run() {
        var backoff = Backoff()
        var schedule = Schedule()
        while !thread.isStopping {
            guard !summaries.isEmpty else {
                thread.sleep(atMost: nil)
                schedule = Schedule()
                continue
            }
            lookAfterMembers(schedule.wasHeldUp)
            do throws(MongoError) {
                let hasMore = try database.pool.withClient { client throws(MongoError) in
                    try keepTerms(&schedule, client)
                    return try readForAll(client)
                }
                backoff.reset()
                if !hasMore { thread.sleep(atMost: Limits.logPoll) }
            } catch {
                database.logger.warning("Completions have to wait for the database", metadata: ["error": "\(error)"])
                thread.pause(for: backoff.next())
            }
            schedule.roundEnded()
        }
        releaseAll()
    }

    /// When what was last done.
    private struct Schedule {
        var renewedAt = MonotonicTime.now
        var storedAt = MonotonicTime.now
        private var lastRound = MonotonicTime.now
        /// Whether the last round took so long that silent members may have been kept from being heard: a stopped process, a database
        /// that was away.
        private(set) var wasHeldUp = false

        mutating func roundEnded() {
            wasHeldUp = lastRound.advanced(by: .seconds(1)) <= .now
            lastRound = .now
        }

        /// Whether `time` is so long ago; then it is now.
        static func isDue(_ time: inout MonotonicTime, every interval: Duration) -> Bool {
            guard time.advanced(by: interval) <= .now else { return false }
            time = .now
            return true
        }
    }

    private func lookAfterMembers(_ wasHeldUp: Bool) {
        for group in summaries {
            withGroup(group.id) { present in
                if wasHeldUp { present.delivery.forgiveSilence(at: .now) }
                for member in present.delivery.tick(at: .now) {
                    database.logger.info(
                        "A member has fallen silent", metadata: ["group": "\(present.group.id)", "member": "\(member)"])
                    end(member, of: &present)
                }
                send(&present)
            }
        }
    }

    // MARK: Terms and marks

    private func keepTerms(_ schedule: inout Schedule, _ client: borrowing Client) throws(MongoError) {
        if Schedule.isDue(&schedule.renewedAt, every: Limits.groupRenewal) {
            let groups = summaries
            let terms = Dictionary(groups.map { ($0.group.id, $0.term) }) { first, _ in first }
            let lost = try self.groups.renew(terms, client, before: .after(Limits.maxQueryTime))
            for group in groups where lost.contains(group.id) {
                database.logger.notice("A group is at another server now", metadata: ["group": "\(group.id)"])
                drop(group)
            }
        }
        if Schedule.isDue(&schedule.storedAt, every: Limits.markInterval) {
            for group in summaries where group.isToStore { try store(group, client) }
        }
        for group in removeEmpty() { try release(group, client) }
    }

    private func store(_ group: HostedGroup.Summary, _ client: borrowing Client) throws(MongoError) {
        let low = group.lowMark
        guard try groups.advance(group.group, term: group.term, to: low, client, before: .after(Limits.maxQueryTime)) else {
            return drop(group)
        }
        withGroup(group.id) { present in
            guard present.term == group.term else { return }
            present.storedLow = max(present.storedLow, low)
            present.hasNews = present.hasNews && present.delivery.lowMark > low
        }
    }

    private func release(_ group: HostedGroup.Summary, _ client: borrowing Client) throws(MongoError) {
        try groups.release(
            group.group, term: group.term, at: group.lowMark, client, before: .after(Limits.maxQueryTime))
    }

    private func releaseAll() {
        for group in summaries {
            drop(group)
            do throws(MongoError) {
                try database.pool.withClient { client throws(MongoError) in try release(group, client) }
            } catch {
                // Harmless: some completions are sent again, by a server that waits for the end of the term.
                return database.logger.info("How far the groups have come is not stored", metadata: ["error": "\(error)"])
            }
        }
    }

    // MARK: The log

    /// Reads for all groups that want more. Returns whether some do still, and there is more.
    private func readForAll(_ client: borrowing Client) throws(MongoError) -> Bool {
        let end = try settlements.end(after: news.take(), client)
        var hasMore = false
        for group in summaries where group.wantsMore && group.position < end {
            hasMore = try read(for: group, to: end, client) || hasMore
        }
        return hasMore
    }

    private func read(for group: HostedGroup.Summary, to end: Int64, _ client: borrowing Client) throws(MongoError) -> Bool {
        let position = group.position
        let read = try settlements.settlements(
            after: position, through: end, of: group.group.submitter, count: Limits.logBatch, client, before: .after(Limits.maxQueryTime))
        // Where what comes next was read, nothing has been removed. Else it is asked, after reading: what is there now was there before.
        if read.first?.rows.first?.sequence != position + 1 {
            guard try settlements.firstSequence(client, before: .after(Limits.maxQueryTime)) <= position + 1 else {
                // With its next call each member learns that it is none, and with its next Subscribe why.
                drop(group)
                return false
            }
        }
        // With fewer documents than asked for there was nothing more for this group up to the end that was read before.
        let isAll = read.count < Limits.logBatch
        let passed = max(read.last?.last ?? 0, isAll ? end : 0)
        let events = try read.flatMap(\.rows).map { row throws(MongoError) in
            GroupDelivery.Event(sequence: row.sequence, payload: try row.payload())
        }
        return withGroup(group.id) { present in
            guard present.term == group.term, present.delivery.position == position else { return false }
            present.delivery.read(events, through: passed)
            send(&present)
            return present.delivery.wantsMore && present.delivery.position < end
        } ?? false
    }
}

extension CompletionRecord {
    fileprivate func payload() throws(MongoError) -> [UInt8] {
        do throws(EncodingError) {
            return try completion.serializedBytes()
        } catch {
            throw MongoError(.malformedDocument, "completion \(sequence) cannot be encoded: \(error)")
        }
    }
}
