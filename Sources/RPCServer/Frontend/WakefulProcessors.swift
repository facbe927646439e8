internal import CLinux
import Glibc
import RPC
import Synchronization
import ZeroMQ

/// Keeps up to two processors from falling asleep while a lone call is carried out.
///
/// A virtual processor that sleeps takes 50 to 100 us to wake up, and a call that waits for the database's journal is a dozen of wake-ups.
/// Threads that want a processor only when nobody else does (SCHED_IDLE) look at the clock instead: others that wake up run at once
/// where one of these does.
final class WakefulProcessors: Sendable {
    private let threads: [SocketThread]
    private let watch = Watch()

    /// What the threads share with whoever keeps them awake.
    private final class Watch: Sendable {
        /// When to fall asleep, in nanoseconds of `MonotonicTime`.
        let end = Atomic<UInt64>(0)
        let isAwake = Atomic<Bool>(false)
        let isToStop = Atomic<Bool>(false)
        let bell = Semaphore()

        func run() {
            // Where that is refused, they would take what others need.
            guard orderwire_run_when_idle() == 0 else { return }
            while true {
                bell.wait()
                while MonotonicTime.now.nanoseconds < end.load(ordering: .relaxed) {
                    if isToStop.load(ordering: .relaxed) { return }
                    // Who gives up the processor for a moment gets it back at once.
                    sched_yield()
                }
                // Who extends the time just now finds it up, and rings for the next call only.
                isAwake.store(false, ordering: .relaxed)
                if isToStop.load(ordering: .relaxed) { return }
            }
        }
    }

    init() {
        let count = min(2, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        threads = (0..<count).map { [watch] index in SocketThread(name: "wakeful-\(index)") { watch.run() } }
    }

    /// No processor sleeps before `time`, if two are enough. From one thread.
    func keepAwake(until time: MonotonicTime) {
        watch.end.store(time.nanoseconds, ordering: .relaxed)
        if !watch.isAwake.exchange(true, ordering: .relaxed) { ring() }
    }

    private func ring() {
        for _ in threads { watch.bell.signal() }
    }

    /// Ends the threads. Once. Where others leave them no processor, nobody waits for it: they end when they get one.
    func stop() {
        watch.isToStop.store(true, ordering: .relaxed)
        ring()
        for thread in threads { _ = thread.join(atMost: Self.longestStop) }
    }

    private static let longestStop = Duration.milliseconds(100)
}
