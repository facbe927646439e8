import MongoDB
import RPC
import Synchronization

/// Does without the indexes of products while a large import fills an empty catalogue, and builds them once it is over.
///
/// Indexes are most of what an import costs. Built at the end, from what is sorted then, they cost a third of it. Meanwhile lists are
/// refused, as wherever an index is missing; everything else works. Where the server ends before it has built them, the next one
/// does, as it starts (`ShopSchema`).
final class BulkLoad: Sendable {
    private let database: ShopDatabase
    /// Clients with long timeouts: building takes some 20 s a million products.
    private let background: ClientPool
    private let state = Mutex(BulkLoadState())
    private let thread = LoopThread()

    init(database: ShopDatabase, background: ClientPool) {
        self.database = database
        self.background = background
    }

    func start() { thread.start(named: "bulk-load") { [self] in run() } }

    /// Ends the thread. What it builds is left to the database, or to the next start.
    func stop() { thread.stop(atMost: Self.longestStop) }

    /// Import calls are being carried out, until `callsEnd`.
    func callsBegin() { state.withLock { $0.callsBegin() } }

    func callsEnd() { state.withLock { $0.callsEnd(at: .now) } }

    /// Begins a load where there is no product and no load yet. Within calls that have begun, so that building does not begin beside it.
    func beginIfEmpty(_ client: borrowing Client, before deadline: Deadline) throws(MongoError) {
        guard !state.withLock({ $0.isUnderWay }) else { return }
        let products = client.collection(CollectionName.products, in: database.name)
        let any = FindOptions(projection: Document { $0.append("_id", 1) }, limit: 1, hint: "_id_", timeLimit: deadline.remaining)
        guard try products.findBatch(Document(), any).count == 0 else { return }
        // Before the first is dropped: whatever fails from here on, what is missing will be built.
        state.withLock { $0.begin() }
        thread.wake()
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
            switch state.withLock({ $0.next(at: .now) }) {
            case .rest: thread.sleep(atMost: nil)
            case .look(let time): thread.sleep(atMost: time)
            case .build: build()
            }
        }
    }

    private func build() {
        do throws(MongoError) {
            try background.withClient { client throws(MongoError) in
                try client.collection(CollectionName.products, in: database.name)
                    .createIndexes(ProductStore.indexes, timeLimit: ShopSchema.patience)
            }
            state.withLock { $0.end() }
            database.logger.notice("The large import is over; products can be listed")
        } catch {
            database.logger.warning("The indexes of products are not built yet", metadata: ["error": "\(error)"])
            thread.pause(for: Limits.bulkLoadSilence)
        }
    }
}

/// Whether a bulk load is under way, and when it is over.
struct BulkLoadState {
    private(set) var isUnderWay = false
    private var callsInProgress = 0
    private var lastEnd = MonotonicTime.now

    enum Step: Equatable {
        /// There is nothing to do until a load begins.
        case rest
        /// Nothing yet: look again after this time.
        case look(Duration)
        /// No more calls come.
        case build
    }

    mutating func callsBegin() { callsInProgress += 1 }

    mutating func callsEnd(at now: MonotonicTime) {
        callsInProgress -= 1
        lastEnd = now
    }

    mutating func begin() { isUnderWay = true }

    mutating func end() { isUnderWay = false }

    func next(at now: MonotonicTime) -> Step {
        guard isUnderWay else { return .rest }
        guard callsInProgress == 0 else { return .look(Limits.bulkLoadSilence) }
        let quiet = Duration.microseconds(Int64(clamping: now.microseconds(since: lastEnd)))
        return quiet < Limits.bulkLoadSilence ? .look(Limits.bulkLoadSilence - quiet) : .build
    }
}

extension MongoError {
    /// There is no index of this name (IndexNotFound), or no collection that could have one (NamespaceNotFound).
    fileprivate var isAboutUnknownIndex: Bool { kind == .server && [26, 27].contains(code) }
}
