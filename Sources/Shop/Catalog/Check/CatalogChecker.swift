import MongoDB
import ProtoShop
import RPC
import Synchronization

/// Carries out checks of the catalogue, one at a time, in a thread of its own: they may take minutes, in which no worker is to be
/// missing.
final class CatalogChecker: Sendable {
    typealias Call = ServerCall<Catalog.CheckCatalogRequest, Catalog.CheckCatalogResponse>

    private let database: ShopDatabase
    /// Clients with long timeouts: an index may have to be built.
    private let background: ClientPool
    private let repair: CatalogRepair
    private let thread = LoopThread()
    private let state = Mutex(State.idle)

    private enum State {
        case idle
        /// The thread has not seen this call yet.
        case asked(Call)
        case checking
        /// The server is about to end.
        case closed
    }

    init(database: ShopDatabase, background: ClientPool, categories: CategoryStore) {
        self.database = database
        self.background = background
        repair = CatalogRepair(database: database.name, categories: categories)
    }

    func start() { thread.start(named: "checker") { [self] in run() } }

    /// Gives up a check that is going on, and ends the thread. One that builds an index is left behind.
    func stop() {
        state.withLock { state in
            if case .asked(let call) = state { call.fail(Shop.shuttingDown) }
            state = .closed
        }
        thread.stop(atMost: Self.longestStop)
    }

    /// Takes over a call. From any thread.
    func add(_ call: Call) {
        let refusal: RPCError? = state.withLock { state in
            switch state {
            case .idle: state = .asked(call)
            case .asked, .checking: return Self.busy
            case .closed: return Shop.shuttingDown
            }
            return nil
        }
        if let refusal { call.fail(refusal) } else { thread.wake() }
    }

    private static let busy = RPCError(
        .resourceExhausted, reason: "QUEUE_FULL", "a check is going on already", disposition: .notExecuted, retryDelay: .seconds(1))
    /// A check looks whether it is still wanted every few milliseconds.
    private static let longestStop = Duration.seconds(1)

    // MARK: - The checker's thread

    private func run() {
        while !thread.isStopping {
            if let call = take() {
                let outcome = check(call)
                // Before the answer, as its caller may ask again at once.
                state.withLock { if case .checking = $0 { $0 = .idle } }
                switch outcome {
                case .success(let report): call.reply(report)
                case .failure(let error): call.fail(error)
                }
            }
            thread.sleep(atMost: nil)
        }
    }

    private func take() -> Call? {
        state.withLock { state in
            guard case .asked(let call) = state else { return nil }
            state = .checking
            return call
        }
    }

    private func check(_ call: Call) -> Result<Catalog.CheckCatalogResponse, RPCError> {
        let (context, begun) = (call.context, CommandTime.ofThisThread)
        defer { context.addDatabaseTime(CommandTime.ofThisThread - begun) }
        let isRepair = call.request.repair
        do throws(MongoError) {
            var check = CatalogCheck(database: database.name, repair: isRepair ? repair : nil, before: context.deadline) { [thread] in
                !thread.isStopping && !context.isAbandoned
            }
            try background.withClient { client throws(MongoError) in try check.run(client) }
            return .success(check.report)
        } catch {
            return .failure(thread.isStopping ? Shop.shuttingDown : database.rpcError(error, isRepair ? .write : .read, context.deadline))
        }
    }
}
