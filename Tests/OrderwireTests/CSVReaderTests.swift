import Testing

@testable import orderwire

@Suite struct CSVReaderTests {
    @Test(arguments: [
        ("a,b\nc,d\n", [["a", "b"], ["c", "d"]]),
        ("a,b\r\nc,\r\n", [["a", "b"], ["c", ""]]),
        ("\"a,b\",\"say \"\"hi\"\"\"\n", [["a,b", "say \"hi\""]]),
        ("\"two\nlines\",x", [["two\nlines", "x"]]),
        ("\u{FEFF}id\n\n\nx", [["id"], ["x"]]),
        ("", []),
        ("\"never closed", [["never closed"]]),
    ]) func recordsAreRead(text: String, fields: [[String]]) {
        #expect(CSVReader(Array(text.utf8)).map(\.fields) == fields)
    }

    @Test func aRecordKnowsItsLine() {
        let text = "id\n\"a\nb\"\nc\n"
        #expect(CSVReader(Array(text.utf8)).map(\.line) == [1, 2, 4])
    }

    @Test func whatIsWrittenIsReadBack() {
        let cells = ["plain", "a,b", "say \"hi\"", "two\r\nlines", ""]
        #expect(CSVReader(Array(CSVWriter.record(cells).utf8)).map(\.fields) == [cells])
    }
}

@Suite struct CSVProductsTests {
    private func rows(_ text: String) throws -> [ProductFile.Row] {
        Array(try CSVProducts(Array(text.utf8)))
    }

    @Test func columnsComeInAnyOrder() throws {
        let row = try #require(try rows("price,ID,unknown,category,name,stock\n1.5,p-1,x,Rock,\"A, B\",7\n").first)
        let product = try row.product.get()
        #expect(row.place == "line 2")
        #expect(product == .init(
            id: "p-1", name: "A, B", category: "Rock", price: .init(currencyCode: "USD", units: 1, nanos: 500_000_000), stock: 7))
    }

    @Test func aMissingColumnIsNamed() {
        #expect { try rows("id,name,stock\n") } throws: { "\($0)".contains("category, price are missing") }
    }

    @Test(arguments: ["p,n,c", "p,n,c,cheap,1", "p,n,c,1.00,many", "p,n,c,-,1"]) func aBadRowIsTold(row: String) throws {
        let rows = try rows("id,name,category,price,stock\n\(row)\ngood,n,c,1,1\n")
        #expect(rows.count == 2)
        #expect(throws: UsageError.self) { try rows[0].product.get() }
        #expect(throws: Never.self) { try rows[1].product.get() }
    }
}
