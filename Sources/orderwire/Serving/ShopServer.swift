import EmbeddedMongoDB
import Glibc
import Logging
import MongoDB
import RPC
import RPCServer
import Shop
import Terminal

/// The server as a whole: its MongoDB, the shop, and the runtime that serves it.
final class ShopServer {
    private let mongod: EmbeddedMongod?
    /// For indexes, at the start, and for checks of the catalogue.
    private let background: ClientPool
    private let publisher: EventPublisher
    private let shop: Shop
    private let server: Server
    private let logger: Logger

    /// Indexes may take long to build, but whoever starts a server without its MongoDB is to hear of it soon.
    private static var startTimeouts: Timeouts {
        var timeouts = Timeouts.background
        timeouts.serverSelection = StartFailure.mongoDBPatience
        return timeouts
    }

    /// Threads that use the database beside the workers: the shop's settler, notifier and waiters, what watches the
    /// backlog and what forgets, the server's reserved worker, and
    /// one in reserve.
    private static let otherThreads = 7 + ServerConfiguration.reservedWorkers

    /// The end takes 10 s at most, of which the shop's threads may need 3 before, where the database stands still.
    private static let drainTimeout = Duration.seconds(5)

    /// Threads that use the database for long: two that build indexes after a large import, and one that checks the catalogue.
    private static let backgroundThreads = 3

    /// Starts everything, bottom up. What was started ends again if a later part does not start.
    init(_ options: ServeOptions, logger: Logger) throws {
        self.logger = logger
        Self.raiseFileLimit(logger)
        let workers = try options.workerCount
        var configuration = ServerConfiguration(
            listen: try options.endpoints.map(Self.withPort), workers: workers, drainTimeout: Self.drainTimeout, version: Version.number)
        configuration.databaseTime = { Shop.databaseTimeOfThisThread }
        let eventEndpoints = try options.eventEndpoints
        let uri: String
        let home: String
        switch try options.database {
        case .embedded(let folder):
            let mongod = try EmbeddedMongod.start(dataDirectory: folder)
            self.mongod = mongod
            uri = mongod.uri
            home = mongod.dataDirectory
            logger.info("MongoDB runs", metadata: [
                "process.pid": "\(mongod.pid)", "server.port": "\(mongod.port)", "path": "\(mongod.dataDirectory)",
            ])
        case .external(let external):
            mongod = nil
            uri = external
            home = configuration.listen[0]
        }
        let publisher = EventPublisher(endpoints: eventEndpoints, epoch: configuration.epoch)
        self.publisher = publisher
        var started: Shop?
        do {
            background = try ClientPool(uri: uri, appName: "orderwire-start", size: Self.backgroundThreads, timeouts: Self.startTimeouts)
            let shop = try Shop.start(
                calls: ClientPool(uri: uri, appName: "orderwire", size: workers + Self.otherThreads, timeouts: .calls),
                background: background, publisher: publisher, configuration: .init(
                    serverName: options.serverName ?? "\(Self.hostName) \(home)", retention: try options.retentionTime,
                    maxBacklog: try options.longestBacklog),
                logger: logger)
            configuration.gauges = { shop.gauges }
            started = shop
            self.shop = shop
            server = try Server(configuration: configuration, services: shop.services, logger: logger)
            try server.start()
        } catch {
            started?.stop()
            publisher.close()
            mongod?.stop()
            throw error
        }
    }

    /// Tells the world that calls are served, and on which terms.
    func announce() {
        mongod?.whenItEndsByItself { [logger] status in
            logger.critical("MongoDB has ended by itself, and so does this server: start it again", metadata: ["process.end": "\(status)"])
            StopSignal.end()
        }
        logger.warning("Identities are what clients claim, and are not proved: loopback and trusted networks only")
        logger.notice("Serving", metadata: ["server.address": "\(server.endpoints.joined(separator: " "))", "service.version": "\(Version.number)"])
        StandardStream.output.write("ready \(server.endpoints.joined(separator: " "))\n")
    }

    /// Lets the calls in flight end, and stops everything, top down.
    func stop(because signal: Int32) {
        let name = [SIGINT: "SIGINT", SIGTERM: "SIGTERM"][signal] ?? "none"
        logger.notice("Draining", metadata: ["signal": "\(name)"])
        shop.stop()
        server.shutdown()
        publisher.close()
        mongod?.stop()
        logger.notice("Stopped")
    }

    /// Port 0 stands for a free one. Not for the system's choice: clients may not reach ports from there reliably.
    private static func withPort(_ endpoint: String) -> String {
        endpoint.hasSuffix(":0") ? "\(endpoint.dropLast())\(PortPicker.free())" : endpoint
    }

    private static var hostName: String {
        var bytes = [CChar](repeating: 0, count: 256)
        gethostname(&bytes, bytes.count - 1)
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// At the limit of open files libzmq's I/O thread burns a core, so it is as high as it may be.
    private static func raiseFileLimit(_ logger: Logger) {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) != 0 {
            logger.warning("The limit of open files stays as it is", metadata: ["error.message": "\(String(cString: strerror(errno)))"])
        }
    }
}
