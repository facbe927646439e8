import ChinookData
import FoundationEssentials
import Glibc
import ProtoShop
import TestSupport
import Testing

extension EndToEnd {
    /// `products import`: every row is stored, or told with its line and reason; and an import that was cut short goes on.
    @Suite struct ImportTests {
        /// Rows that are wrong, and what is said of them.
        private static let badRows: [(row: String, reason: String)] = [
            ("bad id,n,c,1.00,1", "id: must be 1 to 64 bytes of printable ASCII without spaces"),
            (",n,c,1.00,1", "id: required"),
            ("\(String(repeating: "i", count: 65)),n,c,1.00,1", "id: must be 1 to 64 bytes"),
            ("x,,c,1.00,1", "name: required"),
            ("x,\(String(repeating: "é", count: 257)),c,1.00,1", "name: must have at most 512 bytes"),
            ("x,n,,1.00,1", "category: required"),
            ("x,n,\(String(repeating: "c", count: 129)),1.00,1", "category: must have at most 128 bytes"),
            ("x,n,c,-1.00,1", "price: must not be negative"),
            ("x,n,c,1.00,-1", "stock: must be 0 to 1000000000"),
            ("x,n,c,1.00,1000000001", "stock: must be 0 to 1000000000"),
            ("x,n,c,92233720368547758.08,1", "price.units: must be at most"),
            (",,c,-1,-1", "id: required; name: required; price: must not be negative; stock: must be 0 to 1000000000"),
            ("x,n,c,1e3,1", "price: '1e3' is no amount like 0.99"),
            ("x,n,c,0.999,1", "price: '0.999' is finer than a hundredth"),
            ("x,n,c,1.00", "4 fields, where the first line names 5"),
            ("\"x,n,c,1.00,1", "a quote is opened and not closed"),
        ]

        /// A server with a catalogue of its own.
        private func withServer(_ body: (ServerProcess) async throws -> Void) async throws {
            try await withTemporaryMongod { try await ServerProcess.with($0, body) }
        }

        @Test func badRowsAreToldAndCanBeMended() async throws {
            try await withServer { server in
                try await withTemporaryFolder { folder in
                    let shell = Shell(server)
                    let header = "id,name,category,price,stock\n"
                    let rows = Self.badRows.enumerated().map { "good-\($0.offset),\"A \"\"good\"\" one\",Mended,1.00,1\r\n\($0.element.row)\n" }
                    let path = folder + "/rows.csv"
                    try Data((header + rows.joined()).utf8).write(to: URL(filePath: path))

                    let run = try await shell.run("products", "import", path, "--rejects", folder + "/bad.csv")
                    #expect(run.end == .exited(67))
                    #expect(run.output == "\(rows.count) inserted, 0 replaced, \(rows.count) refused\n")
                    let told = run.errors.split(separator: "\n")
                    #expect(told.count == rows.count, "\(run.errors)")
                    for (index, line) in told.enumerated() {
                        let start = "orderwire: \(path): line \(2 * index + 3): \(Self.badRows[index].reason)"
                        #expect(line.hasPrefix(start), "\(line) is not \(start)")
                    }
                    let rejects = try String(contentsOf: URL(filePath: folder + "/bad.csv"), encoding: .utf8)
                    #expect(rejects == header + Self.badRows.map { $0.row + "\n" }.joined(), "as they stood in the file")
                    #expect(access(path + ".import", F_OK) != 0, "there is nothing to go on with")

                    let mended = header + (0..<rows.count).map { "mended-\($0),n,Mended,1.00,1\n" }.joined()
                    try Data(mended.utf8).write(to: URL(filePath: folder + "/bad.csv"))
                    let again = try await shell.run("products", "import", folder + "/bad.csv", "-o", "json")
                    #expect(again.end == .exited(0) && again.output == "{\"inserted\":\(rows.count),\"replaced\":0,\"refused\":0}\n")
                    let listed = try await shell.json("products", "list", "--category", "mended", "-o", "json")
                    #expect(listed.string("totalSize") == "\(2 * rows.count)")
                    try ImportShop.expectExactCounts(server)
                }
            }
        }

        @Test func whatCannotBeImportedIsSaid() async throws {
            try await withServer { server in
                try await withTemporaryFolder { folder in
                    let shell = Shell(server)
                    #expect(try await shell.run("products", "import", "-").output == "0 inserted, 0 replaced, 0 refused\n")
                    #expect(try await shell.run("products", "import", "-", "--resume").end == .exited(64))
                    let path = folder + "/rows.jsonl"
                    try ImportShop.write(1...1, seed: 1, to: path)
                    let over = try await shell.run("products", "import", path, "--rejects", path)
                    #expect(over.end == .exited(64) && over.errors.contains("is the file that is to be imported"))
                    // Of another file, and of no import at all.
                    try Data("{}".utf8).write(to: URL(filePath: path + ".import"))
                    let damaged = try await shell.run("products", "import", path, "--resume")
                    #expect(damaged.end == .exited(64) && damaged.errors.contains("is no state of an import"), "\(damaged.errors)")
                    #expect(try await shell.run("products", "import", path).end == .exited(0), "without --resume it begins anew")
                    // In the form that programs read.
                    let bad = try await shell.run("products", "import", "-", "-o", "json", input: #"{"id": "a b"}"#)
                    let told = try JSON(String(try #require(bad.errors.split(separator: "\n").first)))
                    #expect(bad.end == .exited(67) && told.string("place") == "line 1")
                    #expect(told.string("reason")?.hasPrefix("id: must be") ?? false)
                }
            }
        }

        @Test func chinooksFixtureIsRead() async throws {
            try await withServer { server in
                let run = try await Shell(server).run("products", "import", chinookFixturePath(), "--stock", "1000")
                #expect(run.end == .exited(0) && run.output == "3503 inserted, 0 replaced, 0 refused\n", "\(run.errors)")
                let found = try await ImportShop.products(of: server)
                for product in try Chinook.shared.get().products {
                    #expect(found[product.id].map { ImportShop.isSame($0, product) } ?? false, "\(product.id)")
                }
            }
        }

        @Test func theLaterOfTwoRowsWithOneIDWins() async throws {
            try await withServer { server in
                // In one batch, and in batches that would be under way together.
                let lines = (1...4500).map { "{\"id\":\"twice-\($0 % 700)\",\"name\":\"\($0)\",\"category\":\"Twice\",\"price\":{\"currencyCode\":\"USD\"}}\n" }
                let run = try await Shell(server).run("products", "import", "-", "--format", "jsonl", input: lines.joined())
                #expect(run.output == "700 inserted, 3800 replaced, 0 refused\n", "\(run.errors)")
                let found = try await ImportShop.products(of: server)
                for number in 3801...4500 { #expect(found["twice-\(number % 700)"]?.name == "\(number)") }
                try ImportShop.expectExactCounts(server)
            }
        }
    }
}
