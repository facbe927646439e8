internal import FoundationEssentials
import Glibc

/// A process did not stand still in time.
package struct StillRuns: Error {}

/// Sends SIGSTOP to a process, and returns when it has reached every thread: what comes afterwards finds nobody at work.
///
/// The signal stops one thread first, which tells the others once it gets to run; on a busy machine they may do much until then.
package func stopAllThreads(of process: pid_t) throws {
    kill(process, SIGSTOP)
    let deadline = ContinuousClock.now + .seconds(10)
    while try !threadStates(of: process).allSatisfy({ $0 == "T" }) {
        guard ContinuousClock.now < deadline else { throw StillRuns() }
        usleep(1000)
    }
}

/// Of each thread the third field of its `stat` (proc_pid_stat(5)), which follows its name in parentheses.
private func threadStates(of process: pid_t) throws -> [Substring] {
    let tasks = "/proc/\(process)/task"
    return try FileManager.default.contentsOfDirectory(atPath: tasks).compactMap { thread in
        // A thread may end meanwhile.
        guard let line = try? String(contentsOfFile: "\(tasks)/\(thread)/stat", encoding: .utf8) else { return nil }
        return line[(line.lastIndex(of: ")") ?? line.startIndex)...].dropFirst(2).prefix(1)
    }
}
