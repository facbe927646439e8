import Glibc

/// POSIX's counting semaphore, from 0 (sem_overview(7)).
package final class Semaphore: @unchecked Sendable {
    // "sem_post() is ... thread-safe" (sem_post(3)); the address never changes.
    private let raw = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    package init() { sem_init(raw, 0, 0) }

    deinit {
        sem_destroy(raw)
        raw.deallocate()
    }

    package func signal() { sem_post(raw) }

    package func wait() {
        while sem_wait(raw) != 0 && errno == EINTR {}
    }
}
