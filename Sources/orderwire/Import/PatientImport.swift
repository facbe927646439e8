import ProtoShop
import RPC

/// Sends batches, and goes on trying while the server is away or overloaded: an import that stops there would have to be begun again.
///
/// It may, because an import is idempotent: what failed in the middle ends up the same.
struct PatientImport: Sendable {
    let connection: Connection
    /// How long one batch may go on failing.
    let patience: Duration

    private static let firstWait = Duration.milliseconds(100)
    private static let longestWait = Duration.seconds(2)

    func callAsFunction(_ request: Catalog.ImportProductsRequest) async throws(RPCError) -> Catalog.ImportProductsResponse {
        try await patiently { () async throws(RPCError) in
            try await connection.catalog.importProducts(request, options: connection.callOptions)
        }
    }

    /// Waits until products can be listed in every order. After a large import into an empty catalogue, their indexes are still to be
    /// built, and those of one order appear together.
    ///
    /// - Returns: false where the server goes on building for longer than one should wait.
    func listsAreServed() async throws(RPCError) -> Bool {
        let end = ContinuousClock.now + Self.longestBuild
        while ContinuousClock.now < end {
            do throws(RPCError) {
                for order in ["name", "price"] {
                    _ = try await patiently { () async throws(RPCError) in
                        try await connection.catalog.listProducts(
                            .init(orderBy: order, pageSize: 1, totalMode: .none), options: connection.callOptions)
                    }
                }
                return true
            } catch {
                guard error.reason == "INDEX_MISSING" else { throw error }
            }
            do { try await Task.sleep(for: Self.firstWait) } catch { throw Self.cancelled }
        }
        return false
    }

    /// Tries a call again for as long as it may well succeed later.
    private func patiently<Response>(_ call: () async throws(RPCError) -> Response) async throws(RPCError) -> Response {
        let end = ContinuousClock.now + patience
        var wait = Self.firstWait
        while true {
            do throws(RPCError) {
                return try await call()
            } catch {
                let pause = max(wait, error.retryDelay ?? .zero) * Double.random(in: 0.8...1.2)
                guard Self.isPassing(error), ContinuousClock.now + pause < end, !Task.isCancelled else { throw error }
                do { try await Task.sleep(for: pause) } catch { throw Self.cancelled }
                wait = min(wait * 2, Self.longestWait)
            }
        }
    }

    /// Some ten million products' indexes.
    private static let longestBuild = Duration.seconds(300)

    /// Whether the same call may well succeed later.
    private static func isPassing(_ error: RPCError) -> Bool {
        switch error.code {
        case .unavailable, .deadlineExceeded, .aborted: true
        // Without a time to wait it is the message that is too large, which waiting does not change.
        case .resourceExhausted: error.retryDelay != nil
        default: false
        }
    }

    private static let cancelled = RPCError(
        .cancelled, reason: "CANCELLED", "the import was stopped", disposition: .maybe)
}
