import Glibc
import ProtoShop
import RPC
import Synchronization
import Testing

@testable import orderwire

@Suite("An importer")
struct ProductImporterTests {
    @Test("tells from the file's size how many products come", arguments: [5_000, 115_000])
    func estimate(rows: Int) async throws {
        var name = Array("/tmp/orderwire-estimate.XXXXXX".utf8CString)
        let descriptor = mkstemp(&name)
        try #require(descriptor >= 0)
        let path = String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        defer { unlink(path) }
        // As long on average at the beginning as at the end.
        let lines = (0..<rows).map { row in
            let name = String(repeating: "x", count: row % 7) + "y"
            return "{\"id\":\"p\(row)\",\"name\":\"\(name)\",\"category\":\"c\",\"price\":{\"currencyCode\":\"EUR\"}}\n"
        }
        let bytes = Array(lines.joined().utf8)
        #expect(write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)

        let file = try ProductFile(path, format: .jsonl)
        let record = ImportRecord(file, state: nil, at: nil, isResumed: false, rejects: nil, output: Output(format: .jsonl))
        let told = Mutex<[Int64]>([])
        var importer = ProductImporter(file, stock: nil, record: record) { request async throws(RPCError) in
            told.withLock { $0.append(request.expectedProducts) }
            return .init(insertedCount: Int32(request.products.count))
        }
        try await importer.run()
        #expect(record.tally.inserted == rows)
        let all = told.withLock { $0 }
        #expect(all.count == rows / 1000)
        if rows < 100_000 {
            #expect(all.allSatisfy { $0 == 0 } && !importer.hasAnnounced, "a small one says nothing")
        } else {
            // Every call, the first one, too: ids are up to four digits shorter there than later.
            #expect(all.allSatisfy { abs(Double($0) / Double(rows) - 1) < 0.1 } && importer.hasAnnounced, "\(all.min() ?? 0)...\(all.max() ?? 0)")
        }
    }
}
