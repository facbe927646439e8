/// How long the frontend lets messages and answers gather while the workers have more than enough to do.
///
/// A call that waits behind many others gains nothing from being read at once, nor do the others from each answer leaving alone. What
/// it costs is a switch of threads for each message in the frontend, in libzmq and in the client, on cores that the workers need.
///
/// Pure: no thread, no clock, no I/O.
enum Nap {
    /// The nap is so small a part of the work that waits that no worker runs dry, and that a call which waits for all
    /// of it hardly waits longer.
    private static let shareOfBacklog: UInt64 = 8
    /// Shorter ones gather nothing.
    private static let shortest: UInt64 = 200
    /// For calls of high priority, which wait for no backlog, and deadlines.
    private static let longest: UInt64 = 1_000

    /// Microseconds to sleep; nil where messages are to be read as they come.
    ///
    /// - Parameter backlog: microseconds for which what waits keeps all workers busy.
    static func microseconds(backlog: UInt64) -> UInt32? {
        let nap = backlog / shareOfBacklog
        return nap < shortest ? nil : UInt32(min(nap, longest))
    }
}
