import ArgumentParser
import EmbeddedMongoDB
import Logging
import RPCServer
import Shop

/// What `serve` takes.
struct ServeOptions: ParsableArguments {
    @Option(help: ArgumentHelp(
        "Where to listen; as often as needed. Port 0 is a free one. [ORDERWIRE_LISTEN, else \(ClientOptions.defaultServer)]",
        valueName: "endpoint"))
    var listen: [String] = []

    @Option(help: ArgumentHelp(
        "embedded: a MongoDB of its own, which ends with the server; or where one is. [ORDERWIRE_MONGODB, else embedded]",
        valueName: "embedded|mongodb://..."))
    var mongodb: String?

    @Option(help: ArgumentHelp(
        "Folder for the embedded MongoDB's data. [ORDERWIRE_DATA, else \(Self.defaultData)]", valueName: "folder"))
    var data: String?

    @Option(help: ArgumentHelp(
        "Address and ports for the event channels, one port a subscriber. [ORDERWIRE_EVENTS, else \(Self.defaultEvents)]",
        valueName: "tcp://host:low-high"))
    var events: String?

    @Option(help: ArgumentHelp(
        "Host name that subscribers are told, where it differs: behind a container's ports. [ORDERWIRE_ADVERTISE]", valueName: "host"))
    var advertise: String?

    @Option(help: ArgumentHelp(
        """
        This server among those on one MongoDB. Started again under its name after a crash, it goes on settling at once. \
        [ORDERWIRE_NAME, else the host with the data folder or the first endpoint]
        """, valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp(
        "How long final orders, their results and keys are kept. [ORDERWIRE_RETENTION, else \(Self.defaultRetention)]", valueName: "time"))
    var retention: String?

    @Option(help: ArgumentHelp(
        """
        Refuse orders while those that wait to be settled would take longer than this, as fast as they are settled now. \
        [ORDERWIRE_MAX_BACKLOG, else \(Self.defaultMaxBacklog)]
        """, valueName: "time"))
    var maxBacklog: String?

    @Option(help: ArgumentHelp("Threads that carry out calls. [ORDERWIRE_WORKERS, else 4]", valueName: "n"))
    var workers: String?

    @Option(help: ArgumentHelp(
        "trace, debug, info, notice, warning, error or critical. [ORDERWIRE_LOG_LEVEL, else info]", valueName: "level"))
    var logLevel: String?

    static let defaultData = ".orderwire"
    static let defaultEvents = "tcp://127.0.0.1:7401-7655"
    static let defaultRetention = "30d"
    static let defaultMaxBacklog = "60s"
    /// Clients repeat calls for minutes, and must find their first order.
    private static let retentions = Duration.seconds(3600)...Duration.seconds(366 * 86400)
    private static let workerCounts = 1...64

    /// Where the orders are kept.
    enum Database: Equatable {
        case embedded(folder: String)
        case external(uri: String)
    }

    func validate() throws {
        _ = try endpoints
        _ = try database
        _ = try eventEndpoints
        _ = try workerCount
        _ = try retentionTime
        _ = try longestBacklog
        _ = try level
    }

    /// Where to listen. A port 0 stands for one below those that the system gives out, which no client of ours can be given.
    var endpoints: [String] {
        get throws {
            let given = listen.isEmpty ? nil : listen.joined(separator: ",")
            return try Setting.value(
                given, "--listen", "ORDERWIRE_LISTEN", default: [ClientOptions.defaultServer],
                allowed: "endpoints like \(ClientOptions.defaultServer)"
            ) { text in
                let endpoints = text.split(separator: ",").map(String.init)
                return !endpoints.isEmpty && endpoints.allSatisfy { $0.hasPrefix("tcp://") || $0.hasPrefix("ipc://") } ? endpoints : nil
            }
        }
    }

    var database: Database {
        get throws {
            let folder = Setting.text(data, "ORDERWIRE_DATA") ?? Self.defaultData
            return try Setting.value(
                mongodb, "--mongodb", "ORDERWIRE_MONGODB", default: .embedded(folder: folder),
                allowed: "embedded, or a connection string that begins with mongodb:// or mongodb+srv://"
            ) { text in
                if text == "embedded" { return .embedded(folder: folder) }
                return text.hasPrefix("mongodb://") || text.hasPrefix("mongodb+srv://") ? .external(uri: text) : nil
            }
        }
    }

    var eventEndpoints: EventEndpoints {
        get throws {
            let host = Setting.text(advertise, "ORDERWIRE_ADVERTISE")
            return try Setting.value(
                events, "--events", "ORDERWIRE_EVENTS", default: EventEndpoints(ports: 7401...7655, advertisedHost: host),
                allowed: "an address and ports like \(Self.defaultEvents)"
            ) { EventEndpoints(text: $0, advertisedHost: host) }
        }
    }

    /// Nil where none is chosen.
    var serverName: String? { Setting.text(name, "ORDERWIRE_NAME") }

    var retentionTime: Duration {
        get throws {
            try Setting.value(
                retention, "--retention", "ORDERWIRE_RETENTION", default: ShopConfiguration.defaultRetention, allowed: "a time of 1h to 366d"
            ) { text in
                Duration(text: text).flatMap { Self.retentions.contains($0) ? $0 : nil }
            }
        }
    }

    var longestBacklog: Duration {
        get throws {
            try ClientOptions.duration(
                maxBacklog, "--max-backlog", "ORDERWIRE_MAX_BACKLOG", default: ShopConfiguration.defaultMaxBacklog)
        }
    }

    var workerCount: Int {
        get throws {
            try Setting.value(workers, "--workers", "ORDERWIRE_WORKERS", default: 4, allowed: "1 to 64") { text in
                Int(text).flatMap { Self.workerCounts.contains($0) ? $0 : nil }
            }
        }
    }

    var level: Logger.Level {
        get throws {
            let allowed = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            return try Setting.value(logLevel, "--log-level", "ORDERWIRE_LOG_LEVEL", default: .info, allowed: allowed) {
                Logger.Level(rawValue: $0.lowercased())
            }
        }
    }
}

extension EventEndpoints {
    /// How many ports stand for "0", which means free ones.
    private static let freePortCount: UInt16 = 64

    /// Reads "tcp://HOST:LOW-HIGH", "tcp://HOST:PORT" and "tcp://HOST:0".
    init?(text: String, advertisedHost: String?) {
        guard text.hasPrefix("tcp://"), let colon = text.lastIndex(of: ":"), text.distance(from: text.startIndex, to: colon) > 6
        else { return nil }
        let host = String(text[..<colon].dropFirst(6))
        let bounds = text[text.index(after: colon)...].split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        let ports: ClosedRange<UInt16>
        switch (bounds.count, bounds.first ?? nil, bounds.last ?? nil) {
        case (1, 0?, _):
            let low = PortPicker.free()
            ports = low...(low + Self.freePortCount - 1)
        case (1...2, let low?, let high?) where low > 0 && low <= high: ports = low...high
        default: return nil
        }
        self.init(host: host, ports: ports, advertisedHost: advertisedHost)
    }
}
