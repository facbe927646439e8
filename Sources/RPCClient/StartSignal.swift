import Synchronization
import ZeroMQ

/// Tells the maker of a thread whether its socket could be opened.
final class StartSignal: Sendable {
    private let outcome = Mutex<ZeroMQError?>(nil)
    private let semaphore = Semaphore()

    func signal(_ error: ZeroMQError?) {
        outcome.withLock { $0 = error }
        semaphore.signal()
    }

    func wait() -> ZeroMQError? {
        semaphore.wait()
        return outcome.withLock { $0 }
    }
}
