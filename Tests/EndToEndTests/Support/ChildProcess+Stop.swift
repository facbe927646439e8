import Foundation

extension ChildProcess {
    struct StillRuns: Error {}

    /// Sends SIGSTOP, and returns when it has reached every thread: what comes afterwards finds nobody at work.
    func stopAllThreads() async throws {
        signal(SIGSTOP)
        let deadline = ContinuousClock.now + .seconds(10)
        while try !threadStates().allSatisfy({ $0 == "T" }) {
            guard ContinuousClock.now < deadline else { throw StillRuns() }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    /// Of each thread the third field of its `stat` (proc_pid_stat(5)), which follows its name in parentheses.
    private func threadStates() throws -> [Substring] {
        let tasks = "/proc/\(pid)/task"
        return try FileManager.default.contentsOfDirectory(atPath: tasks).map { thread in
            let line = try String(contentsOfFile: "\(tasks)/\(thread)/stat", encoding: .utf8)
            return line[(line.lastIndex(of: ")") ?? line.startIndex)...].dropFirst(2).prefix(1)
        }
    }
}
