import Foundation
import MongoDB
import ProtoShop
import Protobuf
import TestSupport
import Testing

@testable import Shop

@Suite("Products from rows to bytes")
struct ProductRowTests {
    private func bytes(_ row: Document) throws -> [UInt8] {
        let message = try EncodedMessage<Catalog.Product> { (product) throws(MongoError) in
            try ProductRow.write(row.view, to: &product)
        }
        var bytes: [UInt8] = []
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: message.byteCount, alignment: 1)
        defer { memory.deallocate() }
        try message.serialize { _ in memory }
        bytes.append(contentsOf: memory)
        return bytes
    }

    private func record(_ random: inout SeededGenerator) -> ProductRecord {
        func text(_ longest: Int) -> String {
            let alphabet: [Character] = ["a", "Z", "7", " ", "\u{1}", "é", "東", "🎸", "\u{10FFFF}"]
            return String((0..<Int.random(in: 0...longest, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "a" })
        }
        func number(_ range: ClosedRange<Int64>) -> Int64 {
            [range.lowerBound, range.upperBound, .random(in: range, using: &random)].randomElement(using: &random) ?? 0
        }
        return ProductRecord(
            id: "p-\(number(0...99_999))", name: text(300), category: text(40),
            price: MinorAmount(currency: "USD", minor: number(0...(.max))), stock: number(0...Limits.maxStock),
            description: text(1000), updatedAt: BSONDate(millisecondsSince1970: number(-1_000_000_000_000...4_000_000_000_000)),
            version: number(0...(.max)))
    }

    @Test("random products have the bytes of the ordinary encoder", arguments: Seeds.fresh(3, long: 30))
    func ordinaryBytes(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let record = record(&random)
            let isEqual = try bytes(record.document) == record.product.serializedBytes()
            #expect(isEqual, "\(record)")
        }
    }

    @Test("a row with a field that is missing, mistyped or no UTF-8 is an error and no product")
    func brokenRows() throws {
        var random = SeededGenerator(seed: 1)
        let whole = record(&random)
        var names: [String] = []
        var fields = whole.document.view.fields()
        while let field = fields.next() { names.append(field.key) }
        let unread: Set = ["name_key", "category_key", "price_key", "in_stock"]
        for name in names {
            let row = Document { document in
                var fields = whole.document.view.fields()
                while let field = fields.next() {
                    // Field names are literals: the others are copied in the order in which they stand.
                    if field.key != name { Self.copy(field, to: &document) }
                }
            }
            if unread.contains(name) {
                let isEqual = try bytes(row) == whole.product.serializedBytes()
                #expect(isEqual, "without \(name)")
            } else {
                #expect(throws: MongoError.self, "without \(name)") { try bytes(row) }
            }
        }
        let broken = Document { document in
            document.append("_id", "p")
            document.append("name", 7)
        }
        #expect(throws: MongoError.self) { try bytes(broken) }
    }

    private static func copy(_ field: ValueView, to document: inout DocumentBuilder) {
        switch field.key {
        case "_id": document.append("_id", field)
        case "name": document.append("name", field)
        case "name_key": document.append("name_key", field)
        case "category": document.append("category", field)
        case "category_key": document.append("category_key", field)
        case "price": document.append("price", field)
        case "price_key": document.append("price_key", field)
        case "stock": document.append("stock", field)
        case "in_stock": document.append("in_stock", field)
        case "description": document.append("description", field)
        case "updated": document.append("updated", field)
        case "version": document.append("version", field)
        default: Issue.record("a field that this test does not know: \(field.key)")
        }
    }

    /// Counted by a program that brings its own malloc. It lies beside the tests, as all programs do, and is no dependency of theirs: they
    /// would be linked with that malloc, too.
    @Test("a page costs the same few allocations however many rows it has")
    func noAllocationARow() throws {
        let process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "bench-codec")
        process.arguments = ["allocations"]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        var counts: [Int: Int] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("page ") {
            let values = line.split(separator: " ").compactMap { Int($0.split(separator: "=").last ?? "") }
            try #require(values.count == 3, "\(line)")
            counts[values[0]] = values[2]
        }
        #expect(counts[10] == 2 && counts[1000] == 2, "\(text)")
    }
}
