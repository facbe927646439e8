import EmbeddedMongoDB
import Logging
import MongoDB
import ProtoShop
import RPC
import RPCClient
import RPCServer
import TestSupport

@testable import Shop

/// A shop behind a server of its own, on a database of its own or on one that another shop uses already.
final class RunningShop: Sendable {
    let database: String
    /// What failures can be injected for: the name that this shop's clients give the database.
    let appName: String
    let calls: ClientPool
    private let background: ClientPool
    let shop: Shop
    private let server: Server
    private let publisher: EventPublisher

    /// - Parameters:
    ///   - mongod: the shared one, or the one that is for failures.
    ///   - workers: with one, calls that come together wait for each other.
    init(
        database: String = TestMongo.freshDatabase().name, on mongod: EmbeddedMongod = TestMongo.shared,
        configuration: ShopConfiguration = .init(), workers: Int = 4
    ) throws {
        self.database = database
        appName = "shop_\(OpaqueID.make())"
        var configuration = configuration
        configuration.database = database
        // Of two on one database each has its own.
        if configuration.serverName == ShopConfiguration().serverName { configuration.serverName = appName }
        var logger = Logger(label: "shop")
        logger.logLevel = .critical
        calls = try ClientPool.passing(uri: mongod.uri, appName: appName, timeouts: .calls)
        background = try ClientPool.passing(uri: mongod.uri, appName: appName, timeouts: .background)
        let firstPort = PortPicker.free()
        publisher = EventPublisher(endpoints: EventEndpoints(ports: firstPort...firstPort + 20))
        let shop = try Shop.start(
            calls: calls, background: background, publisher: publisher, configuration: configuration, logger: logger)
        self.shop = shop
        var serving = ServerConfiguration(
            listen: ["tcp://127.0.0.1:\(PortPicker.free())"], workers: workers, heartbeatInterval: .milliseconds(500))
        serving.databaseTime = { Shop.databaseTimeOfThisThread }
        serving.gauges = { shop.gauges }
        server = try Server(
            configuration: serving,
            services: shop.services, logger: logger)
        try server.start()
    }

    /// A client that tries each call once, so that a test sees what the shop said. Each test has few, and lets them go by `close`.
    func channel(_ name: String) throws -> Channel {
        var configuration = ChannelConfiguration()
        configuration.retry = .never
        return try Channel(to: server.endpoints[0], name: name, configuration: configuration)
    }

    func stop() {
        shop.stop()
        server.shutdown()
        publisher.close()
    }

    /// Runs `body` with the catalogue and orders as the client `name` sees them.
    func withClient<Result>(
        _ name: String = "tester",
        _ body: (Catalog.CatalogService.Client, Orders.OrderService.Client) async throws -> Result
    ) async throws -> Result {
        let channel = try channel(name)
        defer { channel.close() }
        return try await body(Catalog.CatalogService.Client(channel), Orders.OrderService.Client(channel))
    }

    /// Looks into the database, past all services, and with more patience than calls have.
    func inDatabase<Result>(_ body: (borrowing Client) throws(MongoError) -> Result) throws -> Result {
        try background.withClient(body)
    }

    func count(_ collection: String, _ filter: Document = Document()) throws -> Int64 {
        try inDatabase { client throws(MongoError) in
            try client.collection(collection, in: database).count(filter)
        }
    }
}

extension Catalog.Product {
    /// A product of the tests.
    static func sample(
        _ id: String, name: String? = nil, category: String = "Rock", cents: Int64 = 100, currency: String = "USD",
        stock: Int64 = 1000
    ) -> Catalog.Product {
        Catalog.Product(
            id: id, name: name ?? "Product \(id)", category: category,
            price: MinorAmount(currency: currency, minor: cents).money, stock: stock)
    }
}

extension Catalog.Money {
    /// In hundredths.
    var minor: Int64 { units * 100 + Int64(nanos) / 10_000_000 }
}

extension Orders.SubmitOrderRequest {
    static func sample(_ key: String, _ lines: [(String, Int32)], expectedCents: Int64? = nil) -> Orders.SubmitOrderRequest {
        Orders.SubmitOrderRequest(
            idempotencyKey: key, lines: lines.map { Orders.OrderLine(productId: $0.0, quantity: $0.1) },
            expectedTotal: expectedCents.map { MinorAmount(currency: "USD", minor: $0).money })
    }
}

extension Orders.OrderService.Client {
    /// Waits until the order is final, asking again for as long as a test may take.
    func settled(_ id: String) async throws -> Orders.Order {
        for _ in 0..<3 {
            let order = try await waitOrder(
                .init(id: id, waitTime: .init(seconds: 10)), options: CallOptions(timeout: .seconds(15))).order
            if let order, order.sequence > 0 { return order }
        }
        throw NotSettled(id: id)
    }

    struct NotSettled: Error { var id: String }
}

/// The error that `body` throws.
func failure<Result>(of body: () async throws(RPCError) -> Result) async -> RPCError? {
    do throws(RPCError) {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}
