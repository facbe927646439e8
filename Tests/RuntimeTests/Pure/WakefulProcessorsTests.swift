import Glibc
import RPC
import Testing

@testable import RPCServer

@Suite("What keeps processors awake", .serialized)
struct WakefulProcessorsTests {
    /// Of this process, by name: each thread's scheduling policy and processor time in ticks, as proc(5) has them.
    private func threads() throws -> [(policy: Int, ticks: Int)] {
        let folder = try #require(opendir("/proc/self/task"))
        defer { closedir(folder) }
        var found: [(policy: Int, ticks: Int)] = []
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
            found.append((policy: try field(41), ticks: try field(14) + field(15)))
        }
        return found
    }

    @Test("takes only what nobody else wants, ends with its time, and stops at any time")
    func politeAndBounded() throws {
        let wakeful = WakefulProcessors()
        wakeful.keepAwake(until: MonotonicTime.now.advanced(byMicroseconds: 100_000))
        usleep(300_000)
        let before = try threads()
        #expect((1...2).contains(before.count))
        #expect(before.allSatisfy { $0.policy == 5 }, "SCHED_IDLE")
        usleep(200_000)
        #expect(try threads().map(\.ticks) == before.map(\.ticks), "they sleep")
        wakeful.keepAwake(until: MonotonicTime.now.advanced(byMicroseconds: 3_600_000_000))
        usleep(20_000)
        wakeful.stop()
        #expect(try threads().isEmpty)
    }
}
