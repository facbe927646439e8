internal import CLinux
import Glibc
import RPC
import Synchronization

/// A thread that works in rounds, sleeps between them until it is woken or its time has come, and stops promptly.
final class LoopThread: Sendable {
    private let isToStop = Atomic<Bool>(false)
    /// Counts the wake-ups that the thread has not seen yet.
    private let bell: Int32
    private let isRung = Atomic<Bool>(false)
    private let thread = Mutex<pthread_t?>(nil)

    init() {
        bell = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        precondition(bell >= 0, "eventfd failed with errno \(errno)")
    }

    deinit { close(bell) }

    /// Starts `body`, which returns soon after `isStopping` has become true. Once.
    func start(named name: String, _ body: @escaping @Sendable () -> Void) {
        let boxed = Unmanaged.passRetained(Body(name: name, run: body))
        // Signals are for the main thread.
        var (all, previous) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &previous)
        var created = pthread_t()
        let result = pthread_create(&created, nil, { argument in
            guard let argument else { return nil }
            let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
            orderwire_set_thread_name(String(body.name.prefix(15)))  // Linux keeps 15 bytes
            body.run()
            return nil
        }, boxed.toOpaque())
        pthread_sigmask(SIG_SETMASK, &previous, nil)
        precondition(result == 0, "cannot create thread \(name): errno \(result)")
        thread.withLock { $0 = created }
    }

    /// Whether the body is to return.
    var isStopping: Bool { isToStop.load(ordering: .acquiring) }

    /// Ends the current or next sleep. From any thread, and cheap when repeated.
    func wake() {
        guard !isRung.exchange(true, ordering: .acquiringAndReleasing) else { return }
        var one: UInt64 = 1
        // Refused only where the counter is full: then it wakes already.
        _ = write(bell, &one, MemoryLayout<UInt64>.size)
    }

    /// Sleeps for `duration`, until woken, or not at all where `wake` was called since the last sleep. The body only.
    func sleep(atMost duration: Duration?) {
        var descriptor = pollfd(fd: bell, events: Int16(POLLIN), revents: 0)
        // Rounded up, so that a sleep never ends just before its time and becomes a spin.
        let milliseconds = duration.map { Int32(clamping: ($0.wholeMicroseconds + 999) / 1000) }
        poll(&descriptor, 1, milliseconds ?? -1)
        var count: UInt64 = 0
        // Read before the flag falls: who rings in between finds it up, and the body looks at everything after this anyway.
        _ = read(bell, &count, MemoryLayout<UInt64>.size)
        isRung.store(false, ordering: .sequentiallyConsistent)
    }

    /// Sleeps for `duration` whoever rings, unless the body is to return: between tries that wake-ups must not make a spin.
    func pause(for duration: Duration) {
        let end = MonotonicTime.now.advanced(by: duration)
        while !isStopping, MonotonicTime.now < end {
            sleep(atMost: .microseconds(Int64(clamping: end.microseconds(since: .now))))
        }
    }

    /// Asks the body to return, and waits until it has.
    func stop() {
        if let thread = stopping() { pthread_join(thread, nil) }
    }

    /// Asks the body to return, and waits until it has, at most for `limit`. Then it is left behind, and cleans up after itself
    /// should it ever return.
    func stop(atMost limit: Duration) {
        guard let thread = stopping() else { return }
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let microseconds = Int(limit.wholeMicroseconds) + end.tv_nsec / 1000
        end.tv_sec += microseconds / 1_000_000
        end.tv_nsec = microseconds % 1_000_000 * 1000
        if pthread_clockjoin_np(thread, nil, CLOCK_MONOTONIC, &end) != 0 { pthread_detach(thread) }
    }

    /// Asks the body to return. The thread, if it was started and not stopped before.
    private func stopping() -> pthread_t? {
        isToStop.store(true, ordering: .releasing)
        wake()
        return thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
    }

    private final class Body {
        let name: String
        let run: @Sendable () -> Void

        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }
}
