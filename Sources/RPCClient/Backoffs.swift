import Synchronization

/// The calls of a channel that wait before their next try. A wait ends early with its task, and with the channel.
final class Backoffs: Sendable {
    private struct State {
        var isClosed = false
        var sleepers: [UInt64: Task<Void, Never>] = [:]
        var lastID: UInt64 = 0
    }

    private let state = Mutex(State())

    func wait(microseconds: UInt64) async {
        let sleeper = Task {
            do {
                try await Task.sleep(for: .microseconds(Int64(clamping: microseconds)))
            } catch {
                // Cancelled: awake early is all that there is to it.
            }
        }
        let id: UInt64? = state.withLock { state in
            if state.isClosed { return nil }
            state.lastID += 1
            state.sleepers[state.lastID] = sleeper
            return state.lastID
        }
        guard let id else { return sleeper.cancel() }
        await withTaskCancellationHandler { await sleeper.value } onCancel: { sleeper.cancel() }
        state.withLock { $0.sleepers[id] = nil }
    }

    /// Wakes all, now and from now on.
    func close() {
        let sleepers = state.withLock { state in
            state.isClosed = true
            return state.sleepers.values
        }
        for sleeper in sleepers { sleeper.cancel() }
    }
}
