import Glibc
import RPC
import Testing

@testable import RPCServer

@Suite("What keeps processors awake", .serialized)
struct WakefulProcessorsTests {
    private struct Thread: Equatable {
        var id: String
        /// Scheduling policy, and processor time in ticks, as proc(5) has them.
        var policy: Int
        var ticks: Int
    }

    /// Those of this process that keep processors awake, for whatever server.
    private func threads() throws -> [Thread] {
        let folder = try #require(opendir("/proc/self/task"))
        defer { closedir(folder) }
        var found: [Thread] = []
        while let entry = readdir(folder) {
            let id = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            guard let file = fopen("/proc/self/task/\(id)/stat", "r") else { continue }
            defer { fclose(file) }
            var line = [CChar](repeating: 0, count: 1024)
            guard fgets(&line, 1024, file) != nil else { continue }
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard text.contains("(wakeful-") else { continue }
            // The third field and those that follow.
            let fields = try #require(text.split(separator: ")").last).split(separator: " ")
            func field(_ number: Int) throws -> Int { try #require(Int(fields[number - 3])) }
            found.append(Thread(id: id, policy: try field(41), ticks: try field(14) + field(15)))
        }
        return found.sorted { $0.id < $1.id }
    }

    @Test("takes only what nobody else wants, ends with its time, and stops at any time")
    func politeAndBounded() throws {
        let others = Set(try threads().map(\.id))
        func ours() throws -> [Thread] { try threads().filter { !others.contains($0.id) } }
        let wakeful = WakefulProcessors()
        wakeful.keepAwake(until: MonotonicTime.now.advanced(byMicroseconds: 100_000))
        usleep(300_000)
        let before = try ours()
        #expect((1...2).contains(before.count))
        #expect(before.allSatisfy { $0.policy == 5 }, "SCHED_IDLE")
        usleep(200_000)
        #expect(try ours() == before, "they sleep")
        wakeful.keepAwake(until: MonotonicTime.now.advanced(byMicroseconds: 3_600_000_000))
        usleep(20_000)
        wakeful.stop()
        #expect(try ours().isEmpty)
    }
}
