internal import CZeroMQ

/// A failed libzmq call: its `errno`, and what was being done.
package struct ZeroMQError: Error, Equatable, CustomStringConvertible {
    /// The value of `zmq_errno()` right after the call.
    package let code: Int32
    /// What was being done, as in "bind tcp://127.0.0.1:7400".
    package let operation: String

    package var description: String {
        "\(operation): \(String(cString: zmq_strerror(code))) (errno \(code))"
    }

    /// The address is taken by somebody else.
    package var isAddressInUse: Bool { code == EADDRINUSE }

    /// Reads the error of the libzmq call that has just failed on this thread.
    static func last(_ operation: @autoclosure () -> String) -> ZeroMQError {
        let code = zmq_errno()
        return ZeroMQError(code: code, operation: operation())
    }
}
