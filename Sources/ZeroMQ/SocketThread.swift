internal import CLinux
import Glibc

/// An operating-system thread, for a body that blocks or owns a socket. It has to be joined before it is let go.
package final class SocketThread: @unchecked Sendable {
    // Written once in init, before the object is shared; pthread_join takes it from any one thread (pthread_join(3)).
    private var thread = pthread_t()

    private final class Body {
        let name: String
        let run: @Sendable () -> Void

        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// Starts `body` on a new thread that is named `name` (cut to the 15 bytes that Linux keeps), with all signals blocked,
    /// so that signals reach the main thread.
    package init(name: String, _ body: @escaping @Sendable () -> Void) {
        let boxed = Unmanaged.passRetained(Body(name: String(name.prefix(15)), run: body))
        var all = sigset_t()
        var previous = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &previous)
        let result = pthread_create(&thread, nil, { argument in
            guard let argument else { return nil }
            let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
            orderwire_set_thread_name(body.name)
            body.run()
            return nil
        }, boxed.toOpaque())
        pthread_sigmask(SIG_SETMASK, &previous, nil)
        precondition(result == 0, "cannot create thread \(name): errno \(result)")
    }

    /// Waits until the body has returned. Once, and never from the thread itself.
    package func join() {
        let result = pthread_join(thread, nil)
        precondition(result == 0, "cannot join thread: errno \(result)")
    }

    /// Waits until the body has returned, at most for `limit`. Once, and never from the thread itself.
    ///
    /// - Returns: false where it has not: then the thread goes on, and cleans up after itself should it ever end.
    package func join(atMost limit: Duration) -> Bool {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let (seconds, attoseconds) = max(limit, .zero).components
        end.tv_sec += Int(seconds)
        end.tv_nsec += Int(attoseconds / 1_000_000_000)
        if end.tv_nsec >= 1_000_000_000 { (end.tv_sec, end.tv_nsec) = (end.tv_sec + 1, end.tv_nsec - 1_000_000_000) }
        let result = pthread_clockjoin_np(thread, nil, CLOCK_MONOTONIC, &end)
        if result == ETIMEDOUT {
            pthread_detach(thread)
            return false
        }
        precondition(result == 0, "cannot join thread: errno \(result)")
        return true
    }
}
