import Glibc
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
    private static let warmUp = Duration.milliseconds(500)

    private let requests: [Catalog.ListProductsRequest]
    /// For each request the share of those before it and its own; empty where they are asked for in turn.
    private let shares: [Double]
    private let next = Atomic<Int>(0)
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

    /// Calls until the end, and returns the latencies in nanoseconds of what began after the warm-up.
    private func callUntil(end: MonotonicTime, from start: MonotonicTime, _ channel: Channel) async throws(RPCError) -> [UInt32] {
        var latencies: [UInt32] = []
        while true {
            let before = MonotonicTime.now
            if before >= end { return latencies }
            try await call(channel)
            let after = MonotonicTime.now
            if before >= start, after < end { latencies.append(UInt32(clamping: after.nanoseconds - before.nanoseconds)) }
        }
    }

    /// The line of figures.
    func measure(_ channel: Channel, inFlight: Int, seconds: Double) async throws -> String {
        let cpu = Self.cpuSeconds
        let start = MonotonicTime.now.advanced(by: Self.warmUp)
        let end = start.advanced(by: .seconds(seconds))
        let latencies = try await withThrowingTaskGroup(of: [UInt32].self) { group in
            for _ in 0..<inFlight { group.addTask { try await self.callUntil(end: end, from: start, channel) } }
            return try await group.reduce(into: []) { $0 += $1 }.sorted()
        }
        // The warm-up's calls cost the same, so a call's share is that of the time.
        let used = (Self.cpuSeconds - cpu) * seconds / (seconds + Self.warmUp / .seconds(1))
        func percentile(_ share: Double) -> Int {
            latencies.isEmpty ? 0 : Int(latencies[min(latencies.count - 1, Int(Double(latencies.count) * share))] / 1000)
        }
        let rate = Int(Double(latencies.count) / seconds)
        let each = used * 1_000_000 / Double(max(1, latencies.count))
        return "calls_per_s=\(rate) p50_us=\(percentile(0.5)) p99_us=\(percentile(0.99)) cpu_us=\((each * 10).rounded() / 10)"
    }

    private static var cpuSeconds: Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1_000_000
    }
}
