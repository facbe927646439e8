internal import CLinux
import Glibc
import Synchronization

/// A queue from any thread to one thread that sleeps in a `Poller`.
///
/// Posting never waits for anybody: the elements are a stack (Treiber, 1986) to which posters push by compare-and-swap, and
/// which the reader takes whole, so that no element is ever popped alone (no ABA) and nobody holds a lock when it is
/// preempted. Where the reader sleeps, and only then, a post costs a write to an eventfd. The reader announces its sleep,
/// looks once more, and only then waits, so that no post is missed.
///
/// Inlinable, so that each user gets code for its own element type: this is on the way of every call.
package final class Mailbox<Element: Sendable>: Sendable {
    /// The address of the latest post's node, or `empty`, or `closed`.
    @usableFromInline let head = Atomic<UInt>(MailboxState.empty)
    @usableFromInline let bell: Bell

    package init() { bell = Bell() }

    deinit { drain { _ in } }

    /// Readable while the reader is to wake up: to be polled by the reader.
    package var fileDescriptor: Int32 { bell.fileDescriptor }

    /// Adds an element, and wakes the reader where it sleeps; false where the mailbox is closed. Any thread.
    @inlinable @discardableResult package func post(_ element: Element) -> Bool {
        let node = MailboxNode(element)
        let address = UInt(bitPattern: Unmanaged.passRetained(node).toOpaque())
        var latest = head.load(ordering: .relaxed)
        while true {
            if latest == MailboxState.closed {
                Unmanaged.passUnretained(node).release()
                return false
            }
            node.next = latest
            let (exchanged, original) = head.compareExchange(
                expected: latest, desired: address, ordering: .sequentiallyConsistent)
            if exchanged { break }
            latest = original
        }
        bell.ringIfReaderSleeps()
        return true
    }

    /// Whether nothing waits. Cheap enough to spin on.
    @inlinable package var isEmpty: Bool {
        let latest = head.load(ordering: .relaxed)
        return latest == MailboxState.empty || latest == MailboxState.closed
    }

    /// Hands everything to `body`, in the order of posting. Reader only. What is left when `body` throws is let go.
    @inlinable package func drain<Failure: Error>(_ body: (Element) throws(Failure) -> Void) throws(Failure) {
        if !isEmpty { try take(replacingWith: MailboxState.empty, body) }
    }

    /// Takes nothing more, and hands what was posted before to `body`. Reader only, and the last that it does.
    @inlinable package func close<Failure: Error>(draining body: (Element) throws(Failure) -> Void) throws(Failure) {
        try take(replacingWith: MailboxState.closed, body)
    }

    @inlinable func take<Failure: Error>(
        replacingWith replacement: UInt, _ body: (Element) throws(Failure) -> Void
    ) throws(Failure) {
        var address = head.exchange(replacement, ordering: .acquiring)
        if address == MailboxState.closed {
            head.store(MailboxState.closed, ordering: .relaxed)
            return
        }
        // The stack has the latest post first.
        var oldestFirst: MailboxNode<Element>?
        while let pointer = UnsafeRawPointer(bitPattern: address) {
            let node = Unmanaged<MailboxNode<Element>>.fromOpaque(pointer).takeRetainedValue()
            address = node.next
            node.following = oldestFirst
            oldestFirst = node
        }
        while let node = oldestFirst {
            oldestFirst = node.following
            node.following = nil
            try body(node.element)
        }
    }

    /// Call before sleeping: true where the reader may sleep, false where something came meanwhile. Reader only.
    package func prepareToSleep() -> Bool {
        bell.readerSleeps.store(true, ordering: .sequentiallyConsistent)
        let latest = head.load(ordering: .sequentiallyConsistent)
        if latest != MailboxState.empty && latest != MailboxState.closed {
            bell.readerSleeps.store(false, ordering: .sequentiallyConsistent)
            return false
        }
        return true
    }

    /// Call after sleeping. Reader only.
    package func didWake() { bell.silence() }
}

/// An element on its way.
@usableFromInline final class MailboxNode<Element: Sendable> {
    @usableFromInline let element: Element
    /// Address of the node that was posted before. Before the node is in the mailbox its poster's, then the reader's.
    @usableFromInline @exclusivity(unchecked) var next = MailboxState.empty
    /// The node that was posted after. The reader's.
    @usableFromInline @exclusivity(unchecked) var following: MailboxNode?

    @inlinable init(_ element: Element) { self.element = element }
}

/// What `Mailbox.head` can be besides an address.
@usableFromInline enum MailboxState {
    @usableFromInline static var empty: UInt { 0 }
    /// Nothing more is taken.
    @usableFromInline static var closed: UInt { 1 }
}

/// Wakes the reader of a mailbox.
@usableFromInline final class Bell: Sendable {
    @usableFromInline let readerSleeps = Atomic<Bool>(false)
    @usableFromInline let fileDescriptor: Int32

    init() {
        fileDescriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        precondition(fileDescriptor >= 0, "eventfd failed with errno \(errno)")
    }

    deinit { close(fileDescriptor) }

    @inlinable func ringIfReaderSleeps() {
        if readerSleeps.load(ordering: .sequentiallyConsistent),
            readerSleeps.exchange(false, ordering: .sequentiallyConsistent) { ring() }
    }

    @usableFromInline func ring() {
        var one: UInt64 = 1
        // An eventfd refuses a write only when its counter is full: then it is readable already.
        _ = write(fileDescriptor, &one, MemoryLayout<UInt64>.size)
    }

    func silence() {
        readerSleeps.store(false, ordering: .sequentiallyConsistent)
        var count: UInt64 = 0
        // EAGAIN means that nobody rang, or is only about to: then the bell ends the next sleep early, which does no harm.
        _ = read(fileDescriptor, &count, MemoryLayout<UInt64>.size)
    }
}
