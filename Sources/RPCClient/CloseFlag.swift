import RPC
import Synchronization
import ZeroMQ

/// Lets nothing into a mailbox behind the command that ends its reader: what would come later would never be answered.
final class CloseFlag: Sendable {
    private let isClosed = Mutex(false)

    /// Posts a command; false where the channel is closed.
    func post(_ command: ConnectionCommand, to commands: Mailbox<ConnectionCommand>) -> Bool {
        isClosed.withLock { isClosed in
            if !isClosed { commands.post(command) }
            return !isClosed
        }
    }

    /// Posts the last command; false where that was done before.
    func close(_ commands: Mailbox<ConnectionCommand>) -> Bool {
        isClosed.withLock { isClosed in
            defer { isClosed = true }
            if !isClosed { commands.post(.close) }
            return !isClosed
        }
    }
}

/// What a channel asks of its connection thread.
enum ConnectionCommand: Sendable {
    case start(ClientCall)
    case cancel(ClientCall)
    case close
}

/// Tells the maker of a connection thread whether its socket could be opened.
final class StartSignal: Sendable {
    private let outcome = Mutex<ZeroMQError?>(nil)
    private let semaphore = ZeroMQ.Semaphore()

    func signal(_ error: ZeroMQError?) {
        outcome.withLock { $0 = error }
        semaphore.signal()
    }

    func wait() -> ZeroMQError? {
        semaphore.wait()
        return outcome.withLock { $0 }
    }
}
