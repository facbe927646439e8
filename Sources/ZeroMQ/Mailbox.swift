internal import CLinux
import Glibc
import Synchronization

/// A queue from any thread to one thread that sleeps in a `Poller`.
///
/// Posting never waits for anybody: the elements are a stack (Treiber, 1986) to which posters push by compare-and-swap, and
/// which the reader takes whole, so that no element is ever popped alone (no ABA) and nobody holds a lock when it is
/// preempted. Where the reader sleeps, and only then, a post costs a write to an eventfd. The reader announces its sleep,
/// looks once more, and only then waits, so that no post is missed.
package final class Mailbox<Element: Sendable>: Sendable {
    private final class Node {
        let element: Element
        var next = Mailbox.empty

        init(_ element: Element) { self.element = element }
    }

    /// The address of the latest post's node, or `empty`, or `closed`.
    private let head = Atomic<UInt>(0)
    private let readerSleeps = Atomic<Bool>(false)

    /// Readable while the reader is to wake up: to be polled by the reader.
    package let fileDescriptor: Int32

    package init() {
        fileDescriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        precondition(fileDescriptor >= 0, "eventfd failed with errno \(errno)")
    }

    deinit {
        var leftovers: [Element] = []
        drain(into: &leftovers)
        Glibc.close(fileDescriptor)
    }

    private static var empty: UInt { 0 }
    /// Stands for a mailbox that takes nothing more: no node has this address.
    private static var closed: UInt { 1 }

    /// Adds an element, and wakes the reader where it sleeps; false where the mailbox is closed. Any thread.
    @discardableResult package func post(_ element: Element) -> Bool {
        let node = Unmanaged.passRetained(Node(element))
        var latest = head.load(ordering: .relaxed)
        while true {
            if latest == Self.closed {
                node.release()
                return false
            }
            node._withUnsafeGuaranteedRef { $0.next = latest }
            let (exchanged, original) = head.compareExchange(
                expected: latest, desired: UInt(bitPattern: node.toOpaque()), ordering: .sequentiallyConsistent)
            if exchanged { break }
            latest = original
        }
        if readerSleeps.load(ordering: .sequentiallyConsistent), readerSleeps.exchange(false, ordering: .sequentiallyConsistent) {
            var one: UInt64 = 1
            // An eventfd refuses a write only when its counter is full: then it is readable already.
            _ = write(fileDescriptor, &one, MemoryLayout<UInt64>.size)
        }
        return true
    }

    /// Whether nothing waits. Cheap enough to spin on.
    package var isEmpty: Bool {
        let latest = head.load(ordering: .relaxed)
        return latest == Self.empty || latest == Self.closed
    }

    /// Appends everything to `buffer`, in the order of posting. Reader only.
    package func drain(into buffer: inout [Element]) {
        if isEmpty { return }
        take(replacingWith: Self.empty, into: &buffer)
    }

    /// Takes nothing more, and appends what was posted before to `buffer`. Reader only, and the last that it does.
    package func close(drainingInto buffer: inout [Element]) {
        take(replacingWith: Self.closed, into: &buffer)
    }

    private func take(replacingWith replacement: UInt, into buffer: inout [Element]) {
        var next = head.exchange(replacement, ordering: .acquiring)
        if next == Self.closed {
            head.store(Self.closed, ordering: .relaxed)
            return
        }
        let start = buffer.count
        while let pointer = UnsafeRawPointer(bitPattern: next) {
            let node = Unmanaged<Node>.fromOpaque(pointer).takeRetainedValue()
            buffer.append(node.element)
            next = node.next
        }
        buffer[start...].reverse()
    }

    /// Call before sleeping: true where the reader may sleep, false where something came meanwhile. Reader only.
    package func prepareToSleep() -> Bool {
        readerSleeps.store(true, ordering: .sequentiallyConsistent)
        let latest = head.load(ordering: .sequentiallyConsistent)
        if latest != Self.empty && latest != Self.closed {
            readerSleeps.store(false, ordering: .sequentiallyConsistent)
            return false
        }
        return true
    }

    /// Call after sleeping. Reader only.
    package func didWake() {
        readerSleeps.store(false, ordering: .sequentiallyConsistent)
        var count: UInt64 = 0
        // EAGAIN means that nobody rang, or is only about to: then the bell ends the next sleep early, which does no harm.
        _ = read(fileDescriptor, &count, MemoryLayout<UInt64>.size)
    }
}
