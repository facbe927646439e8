internal import CLinux
import Glibc
import Synchronization

/// A queue from any thread to one thread that sleeps in a `Poller`.
///
/// Posting costs a lock and, only where the reader sleeps, one write to an eventfd. The reader announces its sleep, looks
/// once more, and only then waits, so that no post is missed.
package final class Mailbox<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])
    private let hasElements = Atomic<Bool>(false)
    private let readerSleeps = Atomic<Bool>(false)

    /// Readable while the reader is to wake up: to be polled by the reader.
    package let fileDescriptor: Int32

    package init() {
        fileDescriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        precondition(fileDescriptor >= 0, "eventfd failed with errno \(errno)")
    }

    deinit { close(fileDescriptor) }

    /// Adds an element, and wakes the reader where it sleeps. Any thread.
    package func post(_ element: Element) {
        elements.withLock { $0.append(element) }
        hasElements.store(true, ordering: .sequentiallyConsistent)
        wakeIfSleeping()
    }

    /// Adds elements, and wakes the reader where it sleeps. Any thread.
    package func post(contentsOf more: [Element]) {
        elements.withLock { $0.append(contentsOf: more) }
        hasElements.store(true, ordering: .sequentiallyConsistent)
        wakeIfSleeping()
    }

    private func wakeIfSleeping() {
        guard readerSleeps.exchange(false, ordering: .sequentiallyConsistent) else { return }
        var one: UInt64 = 1
        // An eventfd refuses a write only when its counter is full: then it is readable already.
        _ = write(fileDescriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// True where something waits. Cheap enough to spin on.
    package var isEmpty: Bool { !hasElements.load(ordering: .acquiring) }

    /// Takes everything into `buffer`, which must be empty; its storage is used again. Reader only.
    package func drain(into buffer: inout [Element]) {
        guard hasElements.exchange(false, ordering: .sequentiallyConsistent) else { return }
        elements.withLock { swap(&$0, &buffer) }
    }

    /// Call before sleeping: true where the reader may sleep, false where something came meanwhile. Reader only.
    package func prepareToSleep() -> Bool {
        readerSleeps.store(true, ordering: .sequentiallyConsistent)
        if hasElements.load(ordering: .sequentiallyConsistent) {
            readerSleeps.store(false, ordering: .sequentiallyConsistent)
            return false
        }
        return true
    }

    /// Call after sleeping. Reader only.
    package func didWake() {
        readerSleeps.store(false, ordering: .sequentiallyConsistent)
        var count: UInt64 = 0
        // EAGAIN means that nobody rang: nothing to do.
        _ = read(fileDescriptor, &count, MemoryLayout<UInt64>.size)
    }
}
