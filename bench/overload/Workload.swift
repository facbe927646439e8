import BenchClosedLoop
import ProtoEcho
import ProtoShop
import RPC
import RPCClient

/// What a call asks for.
enum Workload: String, Sendable {
    /// 64 bytes of EchoService.
    case echo
    /// A page of 10 of ListProducts: a random category and number, so that few calls ask for the same.
    case products

    /// The time that a call has: a caller who would wait longer would not wait at all.
    static let budget = Duration.seconds(1)
    /// Categories of the products that `bench/overload/run` makes.
    static let categoryCount = 50
    static let pageCount = 90

    /// Carries out one call. Never tried again: what is measured is what the server does with the first try.
    func call(_ channel: Channel) async throws(RPCError) {
        switch self {
        case .echo:
            _ = try await Echo.EchoService.Client(channel).echo(Self.echoRequest, options: Self.options)
        case .products:
            let request = Catalog.ListProductsRequest(
                category: "category \(Int.random(in: 10..<(10 + Self.categoryCount)))", pageSize: 10,
                page: .random(in: 1...Int32(Self.pageCount)))
            _ = try await Catalog.CatalogService.Client(channel).listProducts(request, options: Self.options)
        }
    }

    private static let echoRequest = Echo.EchoRequest(payload: [UInt8](repeating: 0x5A, count: 64))
    private static let options = CallOptions(timeout: budget, retry: .never)
}

/// What a server can do: as many calls as come back when 64 are always in flight.
enum Capacity {
    private static let inFlight = 64
    private static let maxRefusals = 100

    static func measure(_ workload: Workload, at endpoint: String, seconds: Double) async throws -> Int {
        let channel = try Channel(to: endpoint, name: "capacity")
        defer { channel.close() }
        return try await ClosedLoop(inFlight: inFlight, seconds: seconds).run { try await answered(workload, on: channel) }.callsPerSecond
    }

    /// One call that is carried out. A server that is slow at first, or beside other work, may refuse some of 64 until it knows better.
    private static func answered(_ workload: Workload, on channel: Channel) async throws {
        for _ in 0..<maxRefusals {
            do throws(RPCError) {
                return try await workload.call(channel)
            } catch {
                guard error.code == .resourceExhausted else { throw error }
                try await Task.sleep(for: error.retryDelay ?? .milliseconds(5))
            }
        }
        try await workload.call(channel)
    }
}
