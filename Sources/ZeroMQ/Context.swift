internal import CZeroMQ
import Glibc

/// The process's one libzmq context: its I/O threads and the name space of `inproc://`.
///
/// Thread-safe: "A 0MQ context is thread safe and may be shared among as many application threads as necessary"
/// (zmq_ctx_new(3)). It lives as long as the process; sockets are closed by their owners.
package final class Context: @unchecked Sendable {
    /// The context that everything in this process uses.
    package static let shared = Context()

    let handle: UnsafeMutableRawPointer

    private init() {
        Self.seedRoutingIDs()
        guard let handle = zmq_ctx_new() else {
            preconditionFailure("zmq_ctx_new failed: \(ZeroMQError.last("create context"))")
        }
        self.handle = handle
        // Sockets in one process; libzmq's default of 1023 is too few for one PUSH socket a subscriber.
        zmq_ctx_set(handle, ZMQ_MAX_SOCKETS, Self.maxSockets)
    }

    /// Most sockets that can be open in this process.
    package static let maxSockets: Int32 = 8192

    /// libzmq starts its automatic routing ids at `rand()` and never seeds it, so that a peer could guess the next id, claim
    /// it, and make the next anonymous peer abort the process. An unpredictable seed, before the first socket, closes that.
    private static func seedRoutingIDs() {
        // SystemRandomNumberGenerator reads getrandom(2) on Linux.
        srand(UInt32.random(in: .min ... .max))
    }
}
