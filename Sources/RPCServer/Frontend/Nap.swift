/// How long the frontend lets messages and answers gather while the workers have more than enough to do.
///
/// A call that waits behind many others gains nothing from being read at once, nor do the others from each answer leaving alone. What
/// it costs is a switch of threads for each message in the frontend, in libzmq and in the client, on cores that the workers need.
///
/// A call that is refused waits behind none: where calls are refused, there is no nap.
///
/// Pure: no thread, no clock, no I/O.
enum Nap {
    /// The nap is so small a part of the work that waits that no worker runs dry, and that a call which waits for all
    /// of it hardly waits longer.
    private static let shareOfBacklog: UInt64 = 4
    /// Shorter ones gather nothing.
    private static let shortest: UInt64 = 400
    /// For calls of high priority, which wait for no backlog, and deadlines.
    private static let longest: UInt64 = 4_000
    /// So long after a refusal the next is to be expected.
    private static let wakeful: UInt64 = 20_000

    /// Microseconds to sleep; nil where messages are to be read as they come.
    ///
    /// - Parameters:
    ///   - backlog: microseconds for which what waits keeps all workers busy.
    ///   - sinceRefusal: microseconds since a call was last refused for lack of room or time.
    static func microseconds(backlog: UInt64, sinceRefusal: UInt64) -> UInt32? {
        let nap = backlog / shareOfBacklog
        return nap < shortest || sinceRefusal < wakeful ? nil : UInt32(min(nap, longest))
    }
}
