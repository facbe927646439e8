import Glibc

/// Starts a thread that runs `body`.
@discardableResult
package func startThread(_ body: @escaping @Sendable () -> Void) -> pthread_t {
    final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let failure = pthread_create(
        &thread, nil,
        { argument in
            if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
            return nil
        }, Unmanaged.passRetained(Box(body)).toOpaque())
    precondition(failure == 0, "no thread: \(failure)")
    return thread
}

/// Runs `body` in a thread that is gone when this returns.
package func runInThread(_ body: @Sendable () -> Void) {
    withoutActuallyEscaping(body) { body in
        _ = pthread_join(startThread(body), nil)
    }
}

/// A counting semaphore.
final class WaitingLine: @unchecked Sendable {
    /// "sem_post and sem_wait may be called by any thread" (sem_overview(7)); it stays at one address.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() {
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func signal() {
        sem_post(semaphore)
    }

    func wait() {
        while sem_wait(semaphore) != 0 && errno == EINTR {}
    }
}
