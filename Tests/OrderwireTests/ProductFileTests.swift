import ArgumentParser
import Glibc
import ProtoShop
import Testing

@testable import orderwire

/// A file with these bytes, gone after `body`.
private func withFile<Result>(_ bytes: [UInt8], _ body: (String) throws -> Result) throws -> Result {
    var name = Array("/tmp/orderwire-rows.XXXXXX".utf8CString)
    let descriptor = mkstemp(&name)
    try #require(descriptor >= 0)
    let path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
        close(descriptor)
        unlink(path)
    }
    try OutputFile.write(bytes, to: descriptor, path)
    return try body(path)
}

/// The rows of a file, as in "2: good" and "3: price: 'x' is no amount like 0.99".
private func rows(_ bytes: [UInt8], _ format: ProductFile.Format?) throws -> [String] {
    try withFile(bytes) { path in
        var file = try ProductFile(path, format: format)
        var rows: [String] = []
        while let row = try file.rows.next() {
            switch row.product {
            case .success(let product): rows.append("\(row.place): \(product.id)")
            case .failure(let error): rows.append("\(row.place): \(error.message)")
            }
            if row.isTooLong { try file.rows.skipRow { _ in } }
        }
        return rows
    }
}

private func rows(_ text: String, _ format: ProductFile.Format?) throws -> [String] { try rows(Array(text.utf8), format) }

@Suite struct CSVReaderTests {
    /// Fields of each record with its line; of a broken one the reason.
    private func records(_ text: String) throws -> [String] {
        try withFile(Array(text.utf8)) { path in
            let input = try InputBuffer(path)
            try input.skipByteOrderMark()
            var reader = CSVReader(input)
            var records: [String] = []
            while let (line, record) = try reader.next({ _ in }) {
                switch record {
                case .fields(let fields): records.append("\(line) \(fields.joined(separator: "|"))")
                case .broken(let reason): records.append("\(line) ! \(reason)")
                case .tooLong: Issue.record("nothing here is too long")
                }
            }
            return records
        }
    }

    @Test(arguments: [
        ("a,b\nc,d\n", ["1 a|b", "2 c|d"]),
        ("a,b\r\nc,\r\n", ["1 a|b", "2 c|"]),
        ("a\rb\r", ["1 a", "2 b"]),
        ("\"a,b\",\"say \"\"hi\"\"\"\n", ["1 a,b|say \"hi\""]),
        ("\"two\nlines\",x\nb", ["1 two\nlines|x", "3 b"]),
        ("\u{FEFF}id\n\n\nx", ["1 id", "4 x"]),
        ("", []),
        ("a,\"\"\nb", ["1 a|", "2 b"]),
        ("in\"side,x", ["1 in\"side|x"]),
        ("\"never closed\nb,c\nd\n", ["1 ! a quote is opened and not closed", "2 b|c", "3 d"]),
        ("a\n\"x\"y,z\nb\n", ["1 a", "2 ! something follows a closing quote", "3 b"]),
        ("\"open,1\nb,\"x\"\nc\n", ["1 ! something follows a closing quote", "2 b|x", "3 c"]),
    ]) func recordsAreRead(text: String, expected: [String]) throws {
        #expect(try records(text) == expected)
    }

    @Test func whatIsWrittenIsReadBack() throws {
        let cells = ["plain", "a,b", "say \"hi\"", "two\r\nlines", ""]
        #expect(try records(CSVWriter.record(cells)) == ["1 " + cells.joined(separator: "|")])
    }

    @Test func aRecordMayLieAcrossAnyBorderOfWhatIsReadAtOnce() throws {
        // Reading goes on 262,144 bytes at a time.
        let filler = String(repeating: "x", count: 262_100)
        let tail = "\"quo\"\"ted\r\nfield\",end\r\nlast,one\r\n"
        for shift in 0..<tail.utf8.count + 4 {
            let found = try records(filler + String(repeating: "y", count: 44 - shift % 45) + "\n" + tail).dropFirst()
            #expect(Array(found) == ["2 quo\"ted\r\nfield|end", "4 last|one"], "\(shift)")
        }
    }
}

@Suite struct ProductFileTests {
    private static let header = "id,name,category,price,stock\n"

    @Test func columnsComeInAnyOrder() throws {
        try withFile(Array("price,ID,unknown,category,name,stock\n1.5,p-1,x,Rock,\"A, B\",7\n".utf8)) { path in
            var file = try ProductFile(path, format: .csv)
            let row = try #require(try file.rows.next())
            #expect(try row.product.get() == .init(
                id: "p-1", name: "A, B", category: "Rock", price: .init(currencyCode: "USD", units: 1, nanos: 500_000_000), stock: 7))
        }
    }

    @Test(arguments: [
        ("", "empty, where a line that names the columns is expected"),
        ("id,name,stock\n", "category, price are missing"),
        ("id,name,category,price,Price\n", "price is named twice"),
        ("\"id,name,category,price\n", "a quote is opened and not closed"),
        ("id;name;category;price\n", "id, name, category, price are missing"),
    ]) func aFileWithoutItsColumnsIsRefused(text: String, reason: String) throws {
        #expect { try rows(text, .csv) } throws: { ($0 as? UsageError)?.message.contains(reason) ?? false }
    }

    @Test(arguments: [
        ("b,n,c", "3 fields, where the first line names 5"),
        ("b,n,c,cheap,1", "price: 'cheap' is no amount like 0.99"),
        ("b,n,c,1e3,1", "price: '1e3' is no amount like 0.99"),
        ("b,n,c,,1", "price: '' is no amount like 0.99"),
        ("b,n,c,\"1,50\",1", "price: '1,50' is no amount like 0.99"),
        ("b,n,c,0.999,1", "price: '0.999' is finer than a hundredth"),
        ("b,n,c,99999999999999999999,1", "price: '99999999999999999999' is no amount like 0.99"),
        ("b,n,c,1.00,many", "stock: 'many' is no whole number"),
        ("b,n,c,1.00,1.5", "stock: '1.5' is no whole number"),
        ("b,n,c,1.00,99999999999999999999", "stock: '99999999999999999999' is no whole number"),
        ("b,n\u{0}x,c,1.00,1", "contains U+0000"),
        ("b,\"n,c,1.00,1", "something follows a closing quote"),
    ]) func aBadCSVRowIsToldAndCostsNoOther(row: String, reason: String) throws {
        let found = try rows(Self.header + "a,n,c,1,1\r\n\(row)\nd,\"two\nlines\",c,1,1\ne,n,c,1,1", .csv)
        #expect(found == ["line 2: a", "line 3: \(reason)", "line 4: d", "line 6: e"])
    }

    @Test(arguments: [
        ("{", "the text ends at byte 1"),
        ("[]", "'{' is missing at byte 0"),
        (#"{"id": "b", "colour": "red"}"#, "colour: "),
        (#"{"id": "b", "stock": "many"}"#, "stock: no integer in range"),
        (#"{"id": "b", "stock": 1.5}"#, "stock: no integer in range"),
        (#"{"id": "b", "price": 1.5}"#, "price: '{' is missing"),
        (#"{"id": "b", "name": "a\u0000b"}"#, "name: contains U+0000"),
        (#"{"id": "b", "name": "\ud800"}"#, "name: a lone surrogate"),
        (#"{"id": "b"} {"id": "c"}"#, "something follows the value"),
        (#"{"id": "b", "id": "c"}"#, "id: occurs twice"),
    ]) func aBadJSONLineIsToldAndCostsNoOther(row: String, reason: String) throws {
        let found = try rows("\u{FEFF}{\"id\":\"a\"}\r\n\(row)\n\n  \n{\"id\":\"d\"}", .jsonl)
        #expect(found.count == 3 && found[0] == "line 1: a" && found[2] == "line 5: d", "\(found)")
        #expect(found[1].hasPrefix("line 2: \(reason)"), "\(found[1])")
    }

    @Test(arguments: [ProductFile.Format.csv, .jsonl]) func textThatIsNotUTF8IsTold(format: ProductFile.Format) throws {
        let bad: [[UInt8]] = [[0xFF], [0xC0, 0x80], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]]
        for bytes in bad {
            let row = format == .csv ? Array("b,".utf8) + bytes + Array(",c,1,1".utf8) : Array(#"{"name":""#.utf8) + bytes + Array(#""}"#.utf8)
            let before = format == .csv ? Self.header : #"{"id":"a"}"# + "\n"
            let found = try rows(Array(before.utf8) + row + [10], format)
            #expect(found.last == "line 2: not UTF-8", "\(bytes)")
        }
    }

    @Test(arguments: [ProductFile.Format.csv, .jsonl]) func aRowThatIsTooLongIsToldAndSkipped(format: ProductFile.Format) throws {
        let long = String(repeating: "x", count: 3 << 20)
        let good = format == .csv ? "b,n,c,1,1" : #"{"id":"b"}"#
        let found = try rows((format == .csv ? Self.header : "\n") + "\(long)\n\(good)\n", format)
        #expect(found == ["line 2: longer than 1 MiB", "line 3: b"])
        // One that only an open quote makes so long costs its line.
        guard format == .csv else { return }
        let lines = String(repeating: "x,n,c,1,1\n", count: 200_000)
        let open = try rows(Self.header + "a,\"n,c,1,1\n" + lines, format)
        #expect(open.count == 200_001 && open.first == "line 2: a quote is opened and not closed" && open.last == "line 200002: x")
    }

    @Test(arguments: [
        (#"  {"id":"a"}"#, ProductFile.Format.jsonl), ("id,name", .csv), ("\u{FEFF}{}", .jsonl), ("\n [", .chinook), ("", .jsonl), (" \n", .jsonl),
    ]) func theContentTellsTheForm(text: String, format: ProductFile.Format) throws {
        try withFile(Array(text.utf8)) { path in
            let input = try InputBuffer(path)
            try input.skipByteOrderMark()
            #expect(try ProductFile.format(of: input) == format)
        }
    }
}
