import MongoDB
import RPC
import Synchronization

/// Does without the indexes of products while a large import fills an empty catalogue, and builds them once it is over.
///
/// Indexes are most of what an import costs. Built at the end, from what is sorted then, they cost a third of it. Meanwhile lists are
/// refused, as wherever an index is missing; everything else works.
///
/// Every server looks for the mark of a load in the database (`BulkLoadStore`). Those that carry out its calls extend it; when it has
/// expired, they build the indexes, and if none of them is left, the others do.
final class BulkLoad: Sendable {
    private let database: ShopDatabase
    private let store: BulkLoadStore
    /// Clients with long timeouts: building takes some 10 to 20 s a million products.
    private let background: ClientPool
    private let state = Mutex(BulkLoadState())
    private let thread = LoopThread()
    /// Why the thread that builds beside the other one has failed, if it has.
    private let failureOfSecond = Mutex<MongoError?>(nil)

    init(database: ShopDatabase, background: ClientPool) {
        self.database = database
        self.background = background
        store = BulkLoadStore(database: database.name)
    }

    func start() { thread.start(named: "bulk-load") { [self] in run() } }

    /// Ends the thread. What it builds is left to the database, and the rest to another server or the next start.
    func stop() { thread.stop(atMost: Self.longestStop) }

    /// Calls of a large import are being carried out, until `callsEnd`.
    func callsBegin() {
        if state.withLock({ $0.callsBegin() }) { thread.wake() }
    }

    func callsEnd() { state.withLock { $0.callsEnd() } }

    /// Begins a load where there is no product and no load yet. Within calls that have begun, so that the mark does not expire meanwhile.
    func beginIfEmpty(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) {
        guard !state.withLock({ $0.isUnderWay }) else { return }
        let products = client.collection(CollectionName.products, in: database.name)
        let any = FindOptions(projection: Document { $0.append("_id", 1) }, limit: 1, hint: "_id_", timeLimit: deadline.remaining)
        guard try products.findBatch(Document(), any).count == 0 else { return }
        // Before the first is dropped: whoever finds the mark expired builds what is missing.
        try store.extend(orMake: true, client, before: deadline)
        // And after the last: were this server held up before it dropped them, the load might have been ended by another one.
        defer {
            state.withLock { $0.indexesAreDropped() }
            thread.wake()
        }
        database.logger.notice("A large import begins; products cannot be listed until it is over")
        for index in ProductStore.indexes {
            do throws(MongoError) {
                try products.dropIndex(index.name, timeLimit: deadline.remaining)
            } catch {
                guard error.isAboutUnknownIndex else { throw error }
            }
        }
    }

    /// Building goes on in the database when its client has gone.
    private static let longestStop = Duration.milliseconds(100)

    // MARK: - The thread

    private func run() {
        while !thread.isStopping {
            do throws(MongoError) {
                try look()
                thread.sleep(atMost: state.withLock { $0.isUnderWay } ? Limits.bulkLoadSilence / 4 : Limits.bulkLoadSilence)
            } catch {
                database.logger.warning("Whether a large import is over is not known", metadata: ["error": "\(error)"])
                thread.pause(for: Limits.bulkLoadSilence / 4)
            }
        }
    }

    private func look() throws(MongoError) {
        let mark = try database.pool.withClient { client throws(MongoError) in
            try store.mark(client, before: .after(Limits.maxQueryTime))
        }
        let step = state.withLock { $0.next(mark) }
        do throws(MongoError) {
            switch step {
            case .rest, .wait: break
            case .extend, .mark:
                try database.pool.withClient { client throws(MongoError) in
                    try store.extend(orMake: step == .mark, client, before: .after(Limits.maxQueryTime))
                }
            case .build:
                if let mark { try build(mark) }
            }
        } catch {
            state.withLock { $0.hasFailed(step) }
            throw error
        }
    }

    private func build(_ mark: BulkLoadStore.Mark) throws(MongoError) {
        try buildIndexes()
        try database.pool.withClient { client throws(MongoError) in
            try store.remove(mark, client, before: .after(Limits.maxQueryTime))
        }
        database.logger.notice("The large import is over; products can be listed")
    }

    /// By two threads, the indexes of one order each: MongoDB builds those of one command on one processor.
    private func buildIndexes() throws(MongoError) {
        failureOfSecond.withLock { $0 = nil }
        let second = LoopThread()
        second.start(named: "bulk-load-2") { [self] in
            do throws(MongoError) {
                try buildIndexes(sortedBy: .price)
            } catch {
                failureOfSecond.withLock { $0 = error }
            }
        }
        do throws(MongoError) {
            try buildIndexes(sortedBy: .name)
        } catch {
            second.stop()
            throw error
        }
        second.stop()
        if let error = failureOfSecond.withLock({ $0 }) { throw error }
    }

    private func buildIndexes(sortedBy key: ProductOrder.Key) throws(MongoError) {
        let indexes = QueryShape.table.filter { $0.key == key }.map(\.index)
        try background.withClient { client throws(MongoError) in
            try client.collection(CollectionName.products, in: database.name).createIndexes(indexes, timeLimit: ShopSchema.patience)
        }
    }
}

/// What one server knows of a bulk load, and what it has to do.
struct BulkLoadState {
    /// Whether the mark was there when it was last looked for.
    private(set) var isUnderWay = false
    private var callsInProgress = 0
    /// Whether calls ended since the last look.
    private var hadCalls = false
    /// Whether this server has carried out calls of the load.
    private var takesPart = false
    private var mustMark = false

    enum Step: Equatable {
        /// No load is under way.
        case rest
        /// It is not over, or others are there to end it.
        case wait
        /// Calls come: the mark is to last longer.
        case extend
        /// Indexes were dropped: the mark has to be there, whatever became of it.
        case mark
        /// No more calls come, anywhere: the indexes are to be built.
        case build
    }

    /// - Returns: whether to look for the mark at once, which the next look may come too late to extend.
    mutating func callsBegin() -> Bool {
        callsInProgress += 1
        return !isUnderWay && callsInProgress == 1
    }

    mutating func callsEnd() {
        callsInProgress -= 1
        hadCalls = true
    }

    mutating func indexesAreDropped() { mustMark = true }

    /// What to do when the mark was looked for and found like this.
    mutating func next(_ mark: BulkLoadStore.Mark?) -> Step {
        let isActive = callsInProgress > 0 || hadCalls
        (hadCalls, isUnderWay) = (false, mark != nil || mustMark)
        takesPart = isUnderWay && (takesPart || isActive)
        if mustMark {
            mustMark = false
            return .mark
        }
        guard let mark else { return .rest }
        if isActive { return .extend }
        // Those that had its calls know best that it is over. Others come in when none of them does anything about it.
        return mark.overdue > (takesPart ? .zero : Limits.bulkLoadSilence) ? .build : .wait
    }

    /// What it asked for was not done.
    mutating func hasFailed(_ step: Step) {
        switch step {
        case .mark: mustMark = true
        case .extend: hadCalls = true
        case .rest, .wait, .build: break
        }
    }
}

extension MongoError {
    /// There is no index of this name (IndexNotFound), or no collection that could have one (NamespaceNotFound).
    fileprivate var isAboutUnknownIndex: Bool { kind == .server && [26, 27].contains(code) }
}
