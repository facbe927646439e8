import BenchClosedLoop
import ProtoRuntime
import ProtoShop
import RPC
import RPCClient
import Synchronization

/// Calls for pages, as many at a time as are asked for.
final class Load: Sendable {
    enum Workload: String { case distinct, same, zipf }

    enum Reading: String { case values, bytes }

    static let pageSize: Int32 = 10
    private static let popularPages = 200

    private let requests: [Catalog.ListProductsRequest]
    /// For each request the share of those before it and its own; empty where they are asked for in turn.
    private let shares: [Double]
    private let next = Atomic<Int>(0)
    /// Calls that have come back.
    private let calls = Atomic<Int>(0)
    private let reading: Reading

    init(_ workload: Workload, tokens: [String], reading: Reading) {
        let pages = tokens.map { Catalog.ListProductsRequest(pageSize: Self.pageSize, pageToken: $0) }
        let first = Catalog.ListProductsRequest(pageSize: Self.pageSize)
        switch workload {
        case .same: requests = [first]
        case .distinct: requests = pages.shuffled()
        case .zipf: requests = [first] + pages.shuffled().prefix(Self.popularPages - 1)
        }
        shares = workload == .zipf ? Self.shares(requests.count) : []
        self.reading = reading
    }

    /// Zipf's law with exponent 1.
    private static func shares(_ count: Int) -> [Double] {
        let whole = (1...count).reduce(0) { $0 + 1 / Double($1) }
        var sum = 0.0
        return (1...count).map { rank in
            sum += 1 / Double(rank) / whole
            return sum
        }
    }

    private func request() -> Catalog.ListProductsRequest {
        if shares.isEmpty { return requests[next.add(1, ordering: .relaxed).oldValue % requests.count] }
        let chance = Double.random(in: 0..<1)
        var (low, high) = (0, shares.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if shares[middle] > chance { high = middle } else { low = middle + 1 }
        }
        return requests[low]
    }

    /// A message without fields, in place of the response: its decoder checks the form of the reply and skips what is in it.
    private static let unread = MethodDescriptor<Catalog.ListProductsRequest, Runtime.StatsRequest>(
        "orderwire.catalog.v1.CatalogService/ListProducts", idempotency: .noSideEffects)

    private func call(_ channel: Channel) async throws(RPCError) {
        switch reading {
        case .values:
            let response = try await Catalog.CatalogService.Client(channel).listProducts(request())
            precondition(!response.products.isEmpty, "an empty page")
        case .bytes:
            _ = try await channel.call(Self.unread, request(), options: CallOptions())
        }
    }

    /// The line of figures.
    func measure(_ channel: Channel, inFlight: Int, seconds: Double) async throws -> String {
        let cpu = ProcessorTime.seconds
        let outcome = try await ClosedLoop(inFlight: inFlight, seconds: seconds).run {
            try await self.call(channel)
            self.calls.add(1, ordering: .relaxed)
        }
        let each = (ProcessorTime.seconds - cpu) * 1_000_000 / Double(max(1, self.calls.load(ordering: .relaxed)))
        return "calls_per_s=\(outcome.callsPerSecond) p50_us=\(Int(outcome.microseconds(0.5)))"
            + " p99_us=\(Int(outcome.microseconds(0.99))) cpu_us=\((each * 10).rounded() / 10) calls=\(self.calls.load(ordering: .relaxed))"
    }
}
