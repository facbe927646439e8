import ArgumentParser
import RPC

/// What the exit codes of the program mean. They are fixed: scripts rely on them.
enum ExitStatus {
    /// A fault of this program or of its surroundings; `doctor`: something was found.
    static let failure: Int32 = 1
    /// `health`: the server does not serve, or is not there.
    static let notServing: Int32 = 4
    /// A wrong command line, or a file that cannot be used.
    static let usage: Int32 = 64

    /// A failed call: 64 and the number of its status.
    static func call(_ code: StatusCode) -> Int32 { 64 + Int32(code.rawValue) }
}
