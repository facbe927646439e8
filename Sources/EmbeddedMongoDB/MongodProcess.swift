internal import CLinux
internal import Glibc
import Synchronization

/// A child process, its one thread, and its end.
///
/// The thread that starts the child waits for it as well: the kernel's "signal when the parent dies" means the parent
/// *thread*, so that thread must not end before the child does.
final class MongodProcess: Sendable {
    private enum State {
        case notStarted
        case running(pid_t)
        case ended(String)
        case failed(String)
    }

    private let state = Mutex(State.notStarted)
    private let mourner = Mutex(Mourner())
    /// Who is to hear of an end that nobody here asked for.
    private struct Mourner {
        var isEndWanted = false
        var body: (@Sendable (_ status: String) -> Void)?
    }

    private let arguments: [String]
    private let logPath: String
    /// The process runs, or could not be started.
    private let started: Event
    /// The process has ended and is reaped.
    private let exited: Event

    /// Starts `arguments[0]`, found on PATH, with its output in `logPath`.
    init(_ arguments: [String], logPath: String) throws(EmbeddedMongodError) {
        self.arguments = arguments
        self.logPath = logPath
        started = try Event()
        exited = try Event()
        var thread = pthread_t()
        let own = Unmanaged.passRetained(self)
        let failure = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let process = Unmanaged<MongodProcess>.fromOpaque(argument).takeRetainedValue()
                _ = orderwire_set_thread_name("mongod-keeper")
                process.keep()
                return nil
            }, own.toOpaque())
        guard failure == 0 else {
            own.release()
            throw .spawnFailed(reason: errnoText(failure))
        }
        pthread_detach(thread)
        _ = started.wait(milliseconds: -1)
        if case .failed(let reason) = state.withLock({ $0 }) { throw .spawnFailed(reason: reason) }
    }

    /// Nil once it has ended.
    var pid: pid_t? {
        state.withLock { if case .running(let pid) = $0 { pid } else { nil } }
    }

    /// How it ended; nil while it runs.
    var end: String? {
        state.withLock { if case .ended(let status) = $0 { status } else { nil } }
    }

    /// Sends a signal, unless the process has ended: its number may be another's by then.
    func signal(_ number: Int32) {
        if [SIGTERM, SIGKILL].contains(number) { mourner.withLock { $0.isEndWanted = true } }
        state.withLock { if case .running(let pid) = $0 { _ = kill(pid, number) } }
    }

    /// Calls `body`, in the keeper's thread, once it has ended without having been told to by `signal`.
    func whenItEndsByItself(_ body: @escaping @Sendable (_ status: String) -> Void) {
        mourner.withLock { $0.body = body }
        // It may have ended before.
        mourn()
    }

    private func mourn() {
        guard let status = end else { return }
        let body = mourner.withLock { mourner in
            defer { mourner.body = nil }
            return mourner.isEndWanted ? nil : mourner.body
        }
        body?(status)
    }

    /// False if it still runs after that time; -1 waits for ever.
    func waitForExit(milliseconds: Int32) -> Bool {
        exited.wait(milliseconds: milliseconds)
    }

    // MARK: The keeper's thread

    private func keep() {
        let outcome = spawn()
        state.withLock { $0 = outcome }
        started.happen()
        guard case .running(let pid) = outcome else { return }
        // First without reaping, so that the number stays the child's until the state says that it is gone.
        var info = siginfo_t()
        while waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
        state.withLock { state in
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
            state = .ended(Self.describe(status))
        }
        exited.happen()
        mourn()
    }

    private func spawn() -> State {
        let log = open(logPath, O_CREAT | O_WRONLY | O_TRUNC | O_APPEND | O_CLOEXEC, 0o600)
        guard log >= 0 else { return .failed("\(logPath): \(lastError())") }
        defer { close(log) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, log, 1)
        posix_spawn_file_actions_adddup2(&actions, log, 2)
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)

        // A group of its own: Ctrl-C is for us, and we stop the child when we no longer need it. No signal blocked or
        // ignored, whatever this process does with its own.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

        let environment = ["PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR", "TZ"].compactMap { name in
            MongodBinary.variable(name).map { "\(name)=\($0)" }
        }
        var pid = pid_t()
        let program = arguments[0]
        let failure = withCStrings(arguments) { arguments in
            withCStrings(environment) { environment in
                posix_spawnp(&pid, program, &actions, &attributes, arguments, environment)
            }
        }
        return failure == 0 ? .running(pid) : .failed("\(program): \(errnoText(failure))")
    }

    private static func describe(_ status: Int32) -> String {
        let signal = status & 0x7F
        return signal == 0 ? "exit code \((status >> 8) & 0xFF)" : "signal \(signal)"
    }
}

/// Something that happens once and can be waited for by any number of threads: an eventfd that nobody reads.
private final class Event: Sendable {
    private let descriptor: Int32

    init() throws(EmbeddedMongodError) {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC))
        guard descriptor >= 0 else { throw .spawnFailed(reason: lastError()) }
    }

    deinit {
        close(descriptor)
    }

    func happen() {
        eventfd_write(descriptor, 1)
    }

    /// False if it has not happened within that time; -1 waits for ever.
    func wait(milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let count = poll(&entry, 1, milliseconds)
            if count >= 0 { return count > 0 }
            if errno != EINTR { return false }
        }
    }
}

/// Calls `body` with a NULL-terminated array of C strings.
private func withCStrings<R>(_ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> R) -> R {
    let copies = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return body(copies + [nil])
}
