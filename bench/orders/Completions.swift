import ProtoShop
import RPC
import RPCClient
import ShopClient
import Synchronization

/// The completions of this client's orders, as its subscription brings them, for the tasks that wait for theirs.
final class Completions: Sendable {
    private enum Place {
        case submitted
        case awaited(CheckedContinuation<MonotonicTime, Never>)
        case received(MonotonicTime)
    }

    private let places = Mutex<[String: Place]>([:])

    /// Reads the feed until its task is cancelled. A completion that comes a second time concerns nobody.
    func read(_ channel: Channel) async throws(RPCError) {
        for try await completion in CompletionFeed(channel, group: "bench", after: 0) {
            precondition(completion.state == .fulfilled, "order \(completion.orderId) is \(completion.state)")
            received(completion.idempotencyKey, at: .now)
        }
    }

    private func received(_ key: String, at time: MonotonicTime) {
        places.withLock { places in
            switch places[key] {
            case .submitted: places[key] = .received(time)
            case .awaited(let task):
                places[key] = nil
                task.resume(returning: time)
            case .received, nil: break
            }
        }
    }

    /// An order is about to be submitted under `key`.
    func expect(_ key: String) { places.withLock { $0[key] = .submitted } }

    /// Waits for the completion that was expected, and returns when it came.
    func arrival(of key: String) async -> MonotonicTime {
        await withCheckedContinuation { task in
            places.withLock { places in
                guard case .received(let time) = places[key] else { return places[key] = .awaited(task) }
                places[key] = nil
                task.resume(returning: time)
            }
        }
    }
}
