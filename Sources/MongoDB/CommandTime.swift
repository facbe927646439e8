internal import CMongoC
internal import Glibc

/// How long threads waited for the database's answers to their commands, as libmongoc itself measures it.
package enum CommandTime {
    /// The calling thread's total since it began. Not in it: the wait for a client of the pool, or for a server to be there.
    package static var ofThisThread: Duration {
        .microseconds(pthread_getspecific(key)?.load(as: Int64.self) ?? 0)
    }

    /// Counts the commands of all clients of a new pool. libmongoc calls in the thread that ran the command.
    static func count(in pool: OpaquePointer) {
        guard let callbacks = mongoc_apm_callbacks_new() else { preconditionFailure("libbson aborts when memory runs out") }
        defer { mongoc_apm_callbacks_destroy(callbacks) }
        mongoc_apm_set_command_succeeded_cb(callbacks) { CommandTime.add(mongoc_apm_command_succeeded_get_duration($0)) }
        mongoc_apm_set_command_failed_cb(callbacks) { CommandTime.add(mongoc_apm_command_failed_get_duration($0)) }
        mongoc_client_pool_set_apm_callbacks(pool, callbacks, nil)
    }

    /// Each thread's total lies in memory that is freed when the thread ends.
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        let result = pthread_key_create(&key) { total in total?.deallocate() }
        precondition(result == 0, "pthread_key_create failed: \(result)")
        return key
    }()

    private static func add(_ microseconds: Int64) {
        if let total = pthread_getspecific(key) {
            total.storeBytes(of: total.load(as: Int64.self) &+ microseconds, as: Int64.self)
        } else {
            let total = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<Int64>.size, alignment: MemoryLayout<Int64>.alignment)
            total.storeBytes(of: microseconds, as: Int64.self)
            pthread_setspecific(key, total)
        }
    }
}
