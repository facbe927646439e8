import BenchClosedLoop
import Glibc
import ProtoShop
import RPC
import RPCClient
import Synchronization

/// Pages a second: ListProducts with the requests of a list, in turn, so many in flight at any time.
struct Load {
    private let requests: [Catalog.ListProductsRequest]

    /// - Parameter path: a file with a request in ProtoJSON a line.
    init(path: String) throws {
        guard let file = fopen(path, "r") else { throw NotReadable(path: path) }
        defer { fclose(file) }
        var requests: [Catalog.ListProductsRequest] = []
        var (line, capacity): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
        defer { free(line) }
        while getline(&line, &capacity, file) > 0, let line { requests.append(try .init(jsonString: String(cString: line))) }
        guard !requests.isEmpty else { throw NotReadable(path: path) }
        self.requests = requests
    }

    struct NotReadable: Error { let path: String }

    func run(at endpoint: String, inFlight: Int, seconds: Double) async throws -> String {
        let channel = try Channel(to: endpoint, name: "bench")
        defer { channel.close() }
        let catalog = Catalog.CatalogService.Client(channel)
        let turn = Turn()
        let outcome = try await ClosedLoop(inFlight: inFlight, seconds: seconds).run { [requests] in
            _ = try await catalog.listProducts(requests[turn.next() % requests.count], options: Self.options)
        }
        return "pages_per_s=\(outcome.callsPerSecond) p50_us=\(outcome.microseconds(0.5)) p99_us=\(outcome.microseconds(0.99))"
    }

    private static let options = CallOptions(timeout: .seconds(30))
}

/// Whose turn it is, among all tasks.
private final class Turn: Sendable {
    private let count = Atomic(0)
    func next() -> Int { count.wrappingAdd(1, ordering: .relaxed).oldValue }
}
