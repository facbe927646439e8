import Glibc
import MongoDB
import ProtoShop
import RPC
import Synchronization

/// Accepts orders: the calls that wait, together, by one insert. A lone call is a batch of one and waits for nothing.
final class SubmitOrders: Sendable {
    typealias Call = ServerCall<Orders.SubmitOrderRequest, Orders.SubmitOrderResponse>

    let database: ShopDatabase
    let reader: OrderReader
    let backlog: BacklogWatch
    /// Called when orders were stored: there is something to settle.
    let didAccept: @Sendable () -> Void
    private let pause = Mutex(InsertPause())

    init(database: ShopDatabase, reader: OrderReader, backlog: BacklogWatch, didAccept: @escaping @Sendable () -> Void) {
        self.database = database
        self.reader = reader
        self.backlog = backlog
        self.didAccept = didAccept
    }

    /// Calls with the same order id: the first is stored, the others are compared with it.
    private struct Entry {
        var record: OrderRecord
        var calls: [(call: Call, fingerprint: [UInt8])]
    }

    /// What became of an insert.
    private enum Outcome {
        /// This call stored it.
        case stored
        /// It was there, and reads like this.
        case existing(OrderReader.Found)
        case failed(RPCError)
        /// It was not there, and too many orders wait for one more.
        case refused(RPCError)
    }

    /// Answers the calls. Returns when another batch may begin, which is later where it pays to let calls gather.
    func callAsFunction(_ calls: [Call]) {
        pause.withLock { $0.begins(calls.lazy.map(\.context.arrival)) }
        accept(calls)
        let pause = pause.withLock { $0.ends(calls: calls.count, at: .now) }
        if pause > .zero { usleep(UInt32(pause / .microseconds(1))) }
    }

    private func accept(_ calls: [Call]) {
        let entries = merge(calls)
        guard !entries.isEmpty else { return }
        // The database gets the same time for every batch, however little one of its calls has left: the runtime answers
        // that one at its deadline.
        let (records, deadline) = (entries.map(\.record), Deadline.after(Limits.maxQueryTime))
        let isFlawed = Flaw.answersBeforeWriting.isPresent
        let outcomes: [Outcome]
        if isFlawed {
            outcomes = records.map { _ in .stored }
        } else if let refusal = backlog.refusal {
            outcomes = find(records, else: refusal, before: deadline)
        } else {
            outcomes = store(records, before: deadline)
        }
        var (stored, refused) = (0, 0)
        for (entry, outcome) in zip(entries, outcomes) {
            answer(entry, outcome)
            switch outcome {
            case .stored: stored += 1
            case .refused: refused += entry.calls.count
            case .existing, .failed: break
            }
        }
        if isFlawed {
            // Time for the answers to leave.
            usleep(100_000)
            _ = store(records, before: .after(Limits.maxQueryTime))
        }
        backlog.note(accepted: stored, refused: refused)
        if stored > 0 { didAccept() }
    }

    /// Answers what needs no database, and puts the rest together by order id.
    private func merge(_ calls: [Call]) -> [Entry] {
        var entries: [Entry] = []
        var places: [String: Int] = [:]
        let now = BSONDate.now()
        for call in calls {
            do throws(RPCError) {
                let form = try OrderForm(call.request)
                let record = OrderRecord(
                    form, identity: call.context.identity.name, traceparent: call.context.traceparent, acceptedAt: now)
                if call.request.validateOnly {
                    call.reply(Orders.SubmitOrderResponse(order: Self.preview(of: record)))
                } else if let place = places[record.id] {
                    entries[place].calls.append((call, record.fingerprint))
                } else {
                    places[record.id] = entries.count
                    entries.append(Entry(record: record, calls: [(call, record.fingerprint)]))
                }
            } catch {
                call.fail(error)
            }
        }
        return entries
    }

    /// What the order would be; not stored, so in no state and without a time.
    private static func preview(of record: OrderRecord) -> Orders.Order {
        var order = record.order(nil)
        order.state = .unspecified
        order.acceptTime = nil
        return order
    }

    private func answer(_ entry: Entry, _ outcome: Outcome) {
        for (index, (call, fingerprint)) in entry.calls.enumerated() {
            switch outcome {
            case .failed(let error), .refused(let error):
                call.fail(error)
            case .stored where fingerprint == entry.record.fingerprint:
                call.reply(Orders.SubmitOrderResponse(order: entry.record.order(nil), replayed: index > 0))
            case .existing(let found) where fingerprint == found.record.fingerprint:
                call.reply(Orders.SubmitOrderResponse(order: found.order, replayed: true))
            case .stored, .existing:
                call.fail(Self.keyReused)
            }
        }
    }

    private static let keyReused = RPCError(
        .alreadyExists, reason: "IDEMPOTENCY_KEY_REUSED",
        "this idempotency key was used for an order with other content; use a new key for a new order")
}

// MARK: - The outcomes of an insert

extension SubmitOrders {
    /// Instead of an insert: what was accepted before is answered as ever, and nothing new is taken on.
    private func find(_ records: [OrderRecord], else refusal: RPCError, before deadline: Deadline) -> [Outcome] {
        do throws(RPCError) {
            let found = try database.perform(.read, before: deadline) { client throws(MongoError) in
                let owners = Dictionary(uniqueKeysWithValues: records.map { ($0.id, $0.identity) })
                return try reader.find(ownedBy: owners, client, before: deadline)
            }
            return records.map { record in found[record.id].map { .existing($0) } ?? .refused(refusal) }
        } catch {
            return records.map { _ in .failed(error) }
        }
    }

    private func store(_ records: [OrderRecord], before deadline: Deadline) -> [Outcome] {
        do throws(RPCError) {
            return try database.perform(.write, before: deadline) { client throws(MongoError) in
                FaultPoint.beforeInsert.pass()
                let result = try reader.orders.insert(records, client, before: deadline)
                FaultPoint.afterInsert.pass()
                // Not known to be durable: nobody hears ACCEPTED.
                if result.writeConcernError != nil { return records.map { _ in .failed(ShopDatabase.outcomeUnknown) } }
                return outcomes(of: records, result, client, before: deadline)
            }
        } catch {
            return records.map { _ in .failed(error) }
        }
    }

    private func outcomes(
        of records: [OrderRecord], _ result: WriteResult, _ client: borrowing Client, before deadline: Deadline
    ) -> [Outcome] {
        var outcomes = records.map { _ in Outcome.stored }
        var duplicates: [Int] = []
        for error in result.writeErrors {
            if error.isDuplicateKey {
                duplicates.append(error.index)
            } else {
                outcomes[error.index] = .failed(database.rpcError(error.error, .write, deadline))
            }
        }
        guard !duplicates.isEmpty else { return outcomes }
        do throws(MongoError) {
            let owners = Dictionary(uniqueKeysWithValues: duplicates.map { (records[$0].id, records[$0].identity) })
            let found = try reader.find(ownedBy: owners, client, before: deadline)
            for index in duplicates {
                // Stored by somebody, but not on a majority yet: it may still vanish.
                outcomes[index] = found[records[index].id].map { .existing($0) } ?? .failed(ShopDatabase.outcomeUnknown)
            }
        } catch {
            // The others of the batch are stored; only what could not be read back is open.
            _ = database.rpcError(error, .read, deadline)
            for index in duplicates { outcomes[index] = .failed(ShopDatabase.outcomeUnknown) }
        }
        return outcomes
    }
}
