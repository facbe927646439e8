import Logging
import MongoDB
import RPC
import RPCServer

/// What can be chosen about a shop.
package struct ShopConfiguration: Sendable {
    /// The database in MongoDB that holds everything.
    package var database: String
    /// Whether every caller may have all completions, not just its own.
    package var allowsAllCompletions: Bool
    /// Names this server in the settler's lease. One that is started again under its name need not wait for the end of the lease
    /// that it held when it was killed.
    package var serverName: String
    /// How long final orders and their results are kept.
    package var retention: Duration
    /// How long what waits to be settled may take; more orders are refused.
    package var maxBacklog: Duration

    package init(
        database: String = "orderwire", allowsAllCompletions: Bool = true, serverName: String = "server",
        retention: Duration = Self.defaultRetention, maxBacklog: Duration = Self.defaultMaxBacklog
    ) {
        self.database = database
        self.allowsAllCompletions = allowsAllCompletions
        self.serverName = serverName
        self.retention = retention
        self.maxBacklog = maxBacklog
    }

    package static let defaultRetention = Limits.retention
    package static let defaultMaxBacklog = Limits.maxBacklog
}

/// The catalogue and the orders on MongoDB: services to register with a `Server`, and the threads that settle and notify.
package final class Shop: Sendable {
    /// CatalogService and OrderService.
    package let services: [any Service]

    private let settler: Settler
    private let backlog: BacklogWatch
    let retention: Retention
    let waiters: OrderWaiters
    private let notifier: Notifier
    private let checker: CatalogChecker
    private let bulkLoad: BulkLoad

    /// Creates what is missing in the database (collections, indexes, the key of page tokens) and starts the threads.
    ///
    /// - Parameters:
    ///   - calls: clients for everything that somebody waits for: calls, the settler, the notifier.
    ///   - background: clients with long timeouts, for building indexes and for checks of the catalogue.
    ///   - publisher: pushes completions; closed by whoever made it, after `stop`.
    package static func start(
        calls: ClientPool, background: ClientPool, publisher: EventPublisher, configuration: ShopConfiguration = .init(),
        logger: Logger
    ) throws(MongoError) -> Shop {
        let schema = ShopSchema(database: configuration.database)
        let tokenKey = try background.withClient { client throws(MongoError) in
            try schema.create(client, logger: logger)
            return try schema.pageTokenKey(client)
        }
        let database = ShopDatabase(pool: calls, name: configuration.database, logger: logger)
        return Shop(
            database: database, background: background, tokenKey: tokenKey, publisher: publisher, configuration: configuration)
    }

    private init(
        database: ShopDatabase, background: ClientPool, tokenKey: [UInt8], publisher: EventPublisher,
        configuration: ShopConfiguration
    ) {
        let settlements = SettlementStore(database: database.name)
        let orders = OrderStore(database: database.name)
        let reader = OrderReader(orders: orders, settlements: settlements)
        let waiters = OrderWaiters(database: database, reader: reader)
        let notifier = Notifier(
            database: database, settlements: settlements, groups: GroupStore(database: database.name), publisher: publisher,
            server: configuration.serverName)
        let transaction = SettlementTransaction(
            leases: LeaseStore(database: database.name), orders: orders, stock: StockStore(database: database.name),
            catalogue: CategoryStore(database: database.name), settlements: settlements,
            progress: ProgressStore(database: database.name))
        let settler = Settler(
            pool: database.pool, transaction: transaction, name: configuration.serverName, logger: database.logger
        ) { time in
            waiters.wake(at: time)
            notifier.wake(at: time)
        }
        let backlog = BacklogWatch(
            database: database, orders: orders, leases: transaction.leases, longest: configuration.maxBacklog)
        let submit = SubmitOrders(database: database, reader: reader, backlog: backlog) { settler.wake() }
        let checker = CatalogChecker(
            database: database, background: background, categories: CategoryStore(database: database.name))
        let bulkLoad = BulkLoad(database: database, background: background)
        let tokens = TokenSeal(key: tokenKey)
        services = [
            CatalogService(database: database, tokens: tokens, checker: checker, bulkLoad: bulkLoad),
            OrderService(
                database: database, reader: reader, tokens: tokens, submit: submit, waiters: waiters, notifier: notifier,
                allowsAllCompletions: configuration.allowsAllCompletions),
        ]
        self.settler = settler
        self.backlog = backlog
        retention = Retention(database: database, orders: orders, settlements: settlements, period: configuration.retention)
        self.waiters = waiters
        self.notifier = notifier
        self.checker = checker
        self.bulkLoad = bulkLoad
        backlog.start()
        retention.start()
        settler.start()
        waiters.start()
        notifier.start()
        checker.start()
        bulkLoad.start()
    }

    /// For `ServerConfiguration.gauges`: how many orders wait, how many may, how many are settled a second, and how many calls were
    /// refused because too many waited.
    package var gauges: [String: Int64] { backlog.gauges }

    /// For `ServerConfiguration.databaseTime`.
    package static var databaseTimeOfThisThread: Duration { CommandTime.ofThisThread }

    /// Ends the threads: whoever waits for an order hears how it stands, the lease is given back, marks are stored, a check of the
    /// catalogue is given up.
    ///
    /// To be called once, at the beginning of a drain: calls that come later are still answered, orders still accepted; they
    /// are settled by the next server.
    package func stop() {
        waiters.stop()
        backlog.stop()
        retention.stop()
        settler.stop()
        notifier.stop()
        checker.stop()
        bulkLoad.stop()
    }

    /// For calls that would have to wait for one of the threads.
    static let shuttingDown = RPCError(
        .unavailable, reason: "SHUTTING_DOWN", "the server is shutting down", disposition: .notExecuted,
        retryDelay: Limits.databaseRetryDelay)
}
