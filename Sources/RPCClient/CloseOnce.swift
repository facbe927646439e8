import Synchronization

/// Makes sure that something ends once only.
final class CloseOnce: Sendable {
    private let isClosed = Atomic<Bool>(false)

    /// True for the first caller.
    func close() -> Bool { !isClosed.exchange(true, ordering: .acquiringAndReleasing) }
}
