import CLinux
import Glibc
import Synchronization
import TestSupport

/// A program that runs, what it writes, and how it ends.
///
/// The kernel kills it when this process dies, in whatever way.
final class ChildProcess: Sendable {
    /// How a process ended.
    enum End: Sendable, Equatable {
        case exited(Int32)
        case killed(Int32)
    }

    struct NotStarted: Error { var reason: String }

    let pid: pid_t
    let output: ProcessOutput
    let errors: ProcessOutput
    private let end = Promise<End>()
    /// Holds the pid: once reaped it may be another process's.
    private let isReaped = Mutex(false)

    private init(_ pid: pid_t, _ output: ProcessOutput, _ errors: ProcessOutput) {
        self.pid = pid
        self.output = output
        self.errors = errors
    }

    /// Starts a program with variables beside those of this process, but for our own (`ORDERWIRE_...`), which are the test's to give.
    static func start(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], input: String = ""
    ) async throws -> ChildProcess {
        let started = Promise<Result<ChildProcess, NotStarted>>()
        let words = ["setpriv", "--pdeathsig", "KILL", program] + arguments
        // The signal at our death means the death of the starting thread, so that thread stays until the child has ended.
        startThread {
            let result = Result { () throws(NotStarted) in try spawn(words, environment, input) }
            started.fulfill(result)
            if case .success(let process) = result { process.reap() }
        }
        return try await started.value().get()
    }

    /// Sends a signal, unless the process has ended.
    func signal(_ number: Int32) {
        isReaped.withLock { if !$0 { kill(pid, number) } }
    }

    /// Whether it has not ended yet.
    var isRunning: Bool { isReaped.withLock { !$0 } }

    /// Whether it ends within that time.
    func ends(within limit: Duration) async -> Bool {
        let deadline = ContinuousClock.now + limit
        while isRunning {
            if ContinuousClock.now > deadline { return false }
            do { try await Task.sleep(for: .milliseconds(5)) } catch { return !isRunning }
        }
        return true
    }

    /// Waits for its end. It is killed where the waiting task is cancelled.
    func ended() async -> End {
        await withTaskCancellationHandler { await end.value() } onCancel: { signal(SIGKILL) }
    }

    /// The next line of its output that was not taken yet; nil once there is no more.
    func nextLine() async -> String? {
        await withTaskCancellationHandler { await output.nextLine() } onCancel: { signal(SIGKILL) }
    }

    private func reap() {
        var info = siginfo_t()
        while waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
        var status: Int32 = 0
        isReaped.withLock { isReaped in
            while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
            isReaped = true
        }
        let signal = status & 0x7F
        end.fulfill(signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal))
    }

    private static func spawn(
        _ words: [String], _ environment: [String: String], _ input: String
    ) throws(NotStarted) -> ChildProcess {
        let output = try pipe()
        let errors = try pipe()
        let standardInput = try file(holding: input)
        defer { for descriptor in [output.write, errors.write, standardInput] { close(descriptor) } }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, standardInput, 0)
        posix_spawn_file_actions_adddup2(&actions, output.write, 1)
        posix_spawn_file_actions_adddup2(&actions, errors.write, 2)
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)

        var variables: [String: String] = environment
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let isKept = !parts[0].hasPrefix("ORDERWIRE_") || ["ORDERWIRE_CACHE", "ORDERWIRE_MONGOD"].contains(parts[0])
            if parts.count == 2, isKept, variables[parts[0]] == nil { variables[parts[0]] = parts[1] }
            entry += 1
        }

        var arguments = words.map { strdup($0) } + [nil]
        var values = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for copy in arguments + values { free(copy) } }
        // A shell's children have no signal blocked; threads of the test runner have most.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var pid = pid_t()
        let failure = posix_spawnp(&pid, words[0], &actions, &attributes, &arguments, &values)
        guard failure == 0 else { throw NotStarted(reason: "\(words[0]): \(String(cString: strerror(failure)))") }
        return ChildProcess(pid, ProcessOutput(reading: output.read), ProcessOutput(reading: errors.read))
    }

    private static func pipe() throws(NotStarted) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw NotStarted(reason: "no pipe: errno \(errno)") }
        return (ends[0], ends[1])
    }

    private static func file(holding text: String) throws(NotStarted) -> Int32 {
        var name = Array("/tmp/orderwire-input.XXXXXX".utf8CString)
        let descriptor = mkstemp(&name)
        guard descriptor >= 0 else { throw NotStarted(reason: "no file: errno \(errno)") }
        unlink(name)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var text = text
        let isWritten = text.withUTF8 { bytes in
            var written = 0
            while written < bytes.count {
                let count = write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
                if count <= 0 { return false }
                written += count
            }
            return true
        }
        guard isWritten, lseek(descriptor, 0, SEEK_SET) == 0 else { throw NotStarted(reason: "no input: errno \(errno)") }
        return descriptor
    }
}

/// A process of which only the number is known, held so that its end can be waited for.
struct ForeignProcess: ~Copyable {
    private let descriptor: Int32

    /// Nil where there is none of that number.
    init?(_ pid: pid_t?) {
        descriptor = pid.map { pidfd_open($0, 0) } ?? -1
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// Whether it ends within that time.
    func ends(within limit: Duration) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, Int32(limit / .milliseconds(1))) == 1
    }
}
