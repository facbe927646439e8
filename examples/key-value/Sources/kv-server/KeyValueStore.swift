import FoundationEssentials
import Glibc
import ProtoKeyValue
import Protobuf
import RPC
import Synchronization

/// The service: entries in memory, each change a line of JSON in a file.
final class KeyValueStore: KeyValue.KeyValueService.Handlers {
    private let entries = Mutex<[String: KeyValue.Entry]>([:])
    private let file: Int32

    /// Opens the file, and reads what is in it.
    init(path: String) throws {
        file = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0, let bytes = FileManager.default.contents(atPath: path) else {
            throw RPCError(.unavailable, reason: "NO_FILE", "\(path): \(String(cString: strerror(errno)))")
        }
        // What a crash cut off in the middle of a line was never answered.
        let end = bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        ftruncate(file, end)
        for line in bytes[..<end].split(separator: UInt8(ascii: "\n")) {
            let entry = try KeyValue.Entry(jsonString: String(decoding: line, as: UTF8.self))
            entries.withLock { $0[entry.key] = entry }
        }
    }

    /// One call at a time, on as many workers as there are.
    var get: Handler<KeyValue.GetRequest, KeyValue.GetResponse> {
        .unary { [self] request, _ throws(RPCError) in
            guard let entry = entries.withLock({ $0[request.key] }) else {
                throw RPCError(.notFound, reason: "NO_SUCH_KEY", "'\(request.key)' has no value", metadata: ["key": request.key])
            }
            return .init(entry: entry)
        }
    }

    /// All calls that wait are one write and one sync of the disk: many callers cost little more than one.
    var put: Handler<KeyValue.PutRequest, KeyValue.PutResponse> {
        .gathered { [self] calls in
            var changes: [String: KeyValue.Entry] = [:]
            var answers: [(call: ServerCall<KeyValue.PutRequest, KeyValue.PutResponse>, entry: KeyValue.Entry)] = []
            var lines = ""
            for call in calls where !call.context.isAbandoned {  // its deadline has passed, or its caller is gone
                do {
                    let old = changes[call.request.key] ?? entries.withLock { $0[call.request.key] }
                    let entry = try Self.entry(after: old, call.request)
                    if entry != old { lines += try entry.jsonString() + "\n" }
                    changes[entry.key] = entry
                    answers.append((call, entry))
                } catch {
                    call.fail(error as? RPCError ?? RPCError(.internalError, reason: "INTERNAL", "\(error)"))
                }
            }
            // Better no server than one that has forgotten what it answered: what a restart reads from the disk is the truth.
            let isStored = lines.isEmpty || write(file, lines, lines.utf8.count) == lines.utf8.count && fdatasync(file) == 0
            precondition(isStored, "cannot write: \(String(cString: strerror(errno)))")
            entries.withLock { $0.merge(changes) { $1 } }
            for (call, entry) in answers { call.reply(.init(entry: entry)) }
        }
    }

    /// What the key holds after a request, which may be what it held before.
    private static func entry(after old: KeyValue.Entry?, _ request: KeyValue.PutRequest) throws(RPCError) -> KeyValue.Entry {
        guard (1...256).contains(request.key.utf8.count) else {
            throw .invalidFields([.init(field: "key", description: "1 to 256 bytes, not \(request.key.utf8.count)")])
        }
        if let old, old.value == request.value { return old }
        let version = old?.version ?? 0
        if request.expectedVersion != 0, request.expectedVersion != version {
            throw RPCError(
                .aborted, reason: "VERSION_CONFLICT", "'\(request.key)' is at version \(version)", metadata: ["version": "\(version)"])
        }
        return .init(key: request.key, value: request.value, version: version + 1, updateTime: .init(seconds: Int64(time(nil))))
    }
}
