import Glibc

/// SIGTERM and SIGINT, as something to wait for.
///
/// The handler only writes a byte to a pipe, which is all that a handler may do, and which works whatever thread the signal meets.
enum StopSignal {
    /// Made once, before the handler can run; the handler and the waiting thread only read these two numbers.
    private static let pipe: (read: Int32, write: Int32) = {
        var ends: [Int32] = [-1, -1]
        let status = Glibc.pipe(&ends)
        precondition(status == 0, "a pipe at the start of the process")
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }()

    private static let numbers = [SIGTERM, SIGINT]

    /// Lets the signals through. Whoever started this process may have blocked them, and that is inherited.
    static func unblock() {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in numbers { sigaddset(&signals, number) }
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }

    /// Catches the signals from now on. A second one ends the process at once, in case the first one's work hangs.
    static func arm() {
        _ = pipe
        for number in numbers {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                let saved = errno
                var byte = UInt8(truncatingIfNeeded: number)
                _ = Glibc.write(StopSignal.pipe.write, &byte, 1)
                errno = saved
            }
            // One shot: the next signal does what it does by default.
            action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND)) | SA_RESTART
            sigaction(number, &action, nil)
        }
        // A reader of standard output that went away is no reason to stop serving.
        signal(SIGPIPE, SIG_IGN)
    }

    /// What `wait` returns where this process ends by itself.
    static let none: Int32 = 0

    /// Lets `wait` return without a signal.
    static func end() {
        var byte = UInt8(none)
        _ = Glibc.write(pipe.write, &byte, 1)
    }

    /// Blocks until a signal came, and returns its number; or until this process is to end by itself, and returns `none`.
    static func wait() -> Int32 {
        var byte: UInt8 = 0
        while Glibc.read(pipe.read, &byte, 1) < 0 && errno == EINTR {}
        return Int32(byte)
    }
}
