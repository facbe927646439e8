import Glibc
import Synchronization
import TestSupport

/// What a process writes to one of its streams, line by line as it comes, and as a whole at its end.
final class ProcessOutput: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        /// Lines before this place were taken.
        var place = 0
        var isAtEnd = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    private let end = Promise<String>()

    /// Takes over the descriptor.
    init(reading descriptor: Int32) {
        startThread { [self] in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0 && errno == EINTR { continue }
                if count <= 0 { break }
                advance { $0.bytes += buffer[..<count] }
            }
            close(descriptor)
            advance { $0.isAtEnd = true }
            end.fulfill(soFar)
        }
    }

    /// Everything, once the stream has ended.
    func text() async -> String { await end.value() }

    var soFar: String { String(decoding: state.withLock { $0.bytes }, as: UTF8.self) }

    /// Whether it holds `text` within 10 seconds.
    func eventually(contains text: String) async -> Bool { await eventually { $0.contains(text) } }

    /// Whether it comes to be as wanted within a while.
    func eventually(within limit: Duration = .seconds(10), _ isWanted: (String) -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + limit
        while !isWanted(soFar), ContinuousClock.now < deadline {
            do { try await Task.sleep(for: .milliseconds(5)) } catch { break }
        }
        return isWanted(soFar)
    }

    /// The next line that was not taken yet, without its end; nil once there is no more. For one reader.
    func nextLine() async -> String? {
        while true {
            if let line = takeLine() { return line }
            if state.withLock({ $0.isAtEnd && !Self.hasLine($0) }) { return nil }
            await withCheckedContinuation { continuation in
                let isWaiting = state.withLock { state in
                    if state.isAtEnd || Self.hasLine(state) { return false }
                    state.waiter = continuation
                    return true
                }
                if !isWaiting { continuation.resume() }
            }
        }
    }

    private func takeLine() -> String? {
        state.withLock { state in
            guard let end = state.bytes[state.place...].firstIndex(of: 10) else { return nil }
            defer { state.place = end + 1 }
            return String(decoding: state.bytes[state.place..<end], as: UTF8.self)
        }
    }

    private static func hasLine(_ state: borrowing State) -> Bool { state.bytes[state.place...].contains(10) }

    private func advance(_ change: (inout State) -> Void) {
        let waiter = state.withLock { state in
            change(&state)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}

/// A value that comes once, for any number of tasks that wait for it.
final class Promise<Value: Sendable>: Sendable {
    private let state = Mutex<(value: Value?, waiters: [CheckedContinuation<Value, Never>])>((nil, []))

    func fulfill(_ value: Value) {
        let waiters = state.withLock { state in
            state.value = value
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: value) }
    }

    func value() async -> Value {
        await withCheckedContinuation { continuation in
            let value = state.withLock { state in
                if state.value == nil { state.waiters.append(continuation) }
                return state.value
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}
